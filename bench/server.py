"""The web server under test, started as `make run` does: one worker on one core."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.limits import PREFIX
from bench.load import HOST
from bench.machine import pin_to_worker_core

FOLDER = Path(__file__).resolve().parent.parent
PATIENCE = 60.0
SHUTDOWN = 20.0


class ServerFailed(Exception):
    """The web server did not come up; the message ends with what it said."""


class Server:
    """The web server with one worker. Its log goes to a file in the benchmark's folder.

    It is started by `manage.py serve`, which looks after the database first, or `directly`. It counts as
    ready when `path` is answered with 200.
    """

    def __init__(
        self,
        folder: Path,
        *,
        directly: bool = False,
        path: str = "/readyz",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.log = folder / "server.log"
        self.port = free_port()
        self.command = ["-m", "config.server.granian"] if directly else ["manage.py", "serve"]
        self.path = path
        self.headers = dict(headers or {})
        self.seconds_to_ready = 0.0

    def __enter__(self) -> Self:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        words = [*self.command, "--host", HOST, "--port", str(self.port), "--workers", "1"]
        started = time.perf_counter()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                cwd=FOLDER,
                stdout=log,
                stderr=log,
                preexec_fn=pin_to_worker_core,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "bench.settings", "ACCESS_LOG": "1"},
            )
        self.wait_until_ready(since=started)
        self.seconds_to_ready = time.perf_counter() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(SHUTDOWN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until_ready(self, *, since: float) -> None:
        """Return as soon as the path is answered; raise ServerFailed when it is refused, or not in time."""
        while True:
            if self.process.poll() is not None or time.perf_counter() - since > PATIENCE:
                raise ServerFailed(f"The web server did not come up.\n{self.log.read_text()}")
            connection = http.client.HTTPConnection(HOST, self.port, timeout=10)
            try:
                connection.request("GET", self.path, headers=self.headers)
                status = connection.getresponse().status
                if status == 200:
                    return
                raise ServerFailed(f"{self.path} answers {status}.")
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)
            finally:
                connection.close()

    @property
    def worker(self) -> int:
        """The process id of the one web worker, which it says itself."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            connection.request("GET", f"{PREFIX}process")
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def megabytes(self) -> float:
        """Return the worker's resident memory."""
        reported = subprocess.run(
            ["/bin/ps", "-o", "rss=", "-p", str(self.worker)], capture_output=True, text=True, check=True
        )
        return int(reported.stdout) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
