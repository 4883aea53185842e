import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.server.embedded_postgres import places


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own are closed to the user that runs PostgreSQL."""
    made = Path(tempfile.mkdtemp(prefix="deploy-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def refuge(folder: Path) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(places, "refuge_folder", lambda: folder / "refuge")
    yield
    patch.undo()
