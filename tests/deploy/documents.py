"""The command blocks of the docs that are marked as runnable, and a bare folder to run them in."""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```bash runnable\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def runnable_blocks(page: str) -> list[str]:
    """Return the blocks of docs/<page> in their order."""
    return BLOCK.findall((ROOT / "docs" / page).read_text())


def pages_with_runnable_blocks() -> list[str]:
    return sorted(path.name for path in (ROOT / "docs").glob("*.md") if BLOCK.search(path.read_text()))


def bare_checkout(folder: Path) -> Path:
    """Copy what belongs to the project, without what the project makes, and link the installed packages."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", ".venv")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


class Shell:
    """Runs blocks one after another as one shell would, with words of the docs replaced by the test's."""

    def __init__(self, folder: Path, environ: dict[str, str], replaced: dict[str, str]) -> None:
        self.folder = folder
        self.environ = environ
        self.replaced = replaced
        self.state = folder / "state.sh"
        self.state.write_text("")

    def run(self, block: str) -> str:
        """Return what the block wrote; fail with it when a command of the block fails."""
        for word, other in self.replaced.items():
            block = block.replace(word, other)
        script = (
            f"set -euo pipefail\nset -a\n. {self.state}\n{block}\n"
            f"{{ declare -p -x; declare -f; }} > {self.state}\n"
        )
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environ, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{block}\n--- output\n{done.stdout}\n{done.stderr}"
        return done.stdout
