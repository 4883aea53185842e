import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.server.embedded_postgres import places


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every user may enter: pytest's own are closed to the user that runs the server."""
    made = Path(tempfile.mkdtemp(prefix="embedded-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def refuge(folder, monkeypatch) -> Path:
    """Where data move that cannot stay where they are wanted, instead of a folder of the machine."""
    monkeypatch.setattr(places, "refuge_folder", lambda: folder / "refuge")
    return folder / "refuge"
