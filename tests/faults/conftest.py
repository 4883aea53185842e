from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.servers import PatientServer, WebServer, database_url


@pytest.fixture
def serve(real_time: None, tmp_path: Path) -> Iterator[Callable[..., WebServer]]:
    """Start web servers that end with the test. They reach no database unless one is named."""
    servers = []

    def start(*, workers: int = 1, background: int = 0, **environ: str) -> WebServer:
        server = PatientServer(
            workers=workers, background=background, log=tmp_path / f"server-{len(servers)}.log", **environ
        )
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def serve_database(serve: Callable[..., WebServer]) -> Callable[..., WebServer]:
    """Start web servers on the test's database."""

    def start(*, workers: int = 1, background: int = 0, **environ: str) -> WebServer:
        return serve(workers=workers, background=background, **{"DATABASE_URL": database_url(), **environ})

    return start
