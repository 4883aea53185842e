"""A file system that is small enough to be filled."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from config.server.embedded_postgres.server import EmbeddedServer
from tests.faults.servers import PROJECT


class SmallDisk:
    """Holds an embedded PostgreSQL of its own, with an empty shop."""

    def __init__(self, *, megabytes: int) -> None:
        self.megabytes = megabytes
        self.folder: Path | None = None

    def mount(self) -> str:
        """Make the file system; return what to say when that is not possible, else nothing."""
        if os.getuid() != 0:
            return "only root may mount a small file system"
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o755)  # PostgreSQL runs as a user who is not root
        words = ["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m,mode=755", "tmpfs", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            folder.rmdir()
            return f"a small file system cannot be mounted here ({done.stderr.strip()})"
        self.folder = folder
        return ""

    @property
    def environ(self) -> dict[str, str]:
        return {"VAR_DIR": str(self.folder), "DATABASE_URL": "", "DEBUG": "1"}

    @property
    def server(self) -> EmbeddedServer:
        assert self.folder
        return EmbeddedServer(data=self.folder / "pg", profile="production")

    def make_shop(self) -> tuple[str, str]:
        """Make the tables and a tenant; return an API client's id and secret."""
        self._manage("migrate", "--verbosity", "0")
        self._manage("create_tenant", "demo")
        said = self._manage("create_api_client", "demo", "--client-id", "faults", "--all-scopes")
        found = re.search(r"client_secret: (\S+)", said)
        assert found, said
        return "faults", found[1]

    def session(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.server.ensure_running()), user="postgres", dbname="segments", autocommit=True
        )

    def fill(self) -> None:
        """Leave no byte free."""
        assert self.folder
        with (self.folder / "filling").open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 65_536):
                    pass
            except OSError:
                return

    def free(self) -> None:
        assert self.folder
        (self.folder / "filling").unlink()

    def unmount(self) -> None:
        if self.folder is not None:
            self.server.stop()
            subprocess.run(["umount", str(self.folder)], check=True)
            self.folder.rmdir()
            self.folder = None

    def _manage(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=PROJECT,
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
