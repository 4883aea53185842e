"""The web server: granian's workers behind a front of our own, and the means to find and stop it again.

`manage.py serve` prepares the database and then becomes `python -m config.server.granian`, so that one
process chain is all there is: this process, its web workers and its background workers.
"""

import argparse
import fcntl
import http.client
import multiprocessing
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from config.environment import Environment
from config.server.embedded_postgres.processes import send
from config.server.limits import Limits, connections_per_worker
from config.server.metrics_folder import make_metrics_folder
from config.server.parent import Parent
from config.server.worker import load_front, run_worker

ROOT = Path(__file__).resolve().parents[2]
BACKLOG = 4_096  # connections that the kernel holds until a worker accepts them
# Seconds without a request after which a connection is closed; also for one that sends its headers slowly.
# Longer than proxies keep connections to a server (nginx and AWS: 60), or they would use a closed one.
IDLE_TIMEOUT = 75
PAUSE = 0.2  # seconds between two looks at another process
PATIENCE = 3.0  # seconds that a predecessor's last workers may take to end
# glibc gives large blocks back to the system at once, but raises what it takes for large with the first of
# them: without a fixed bound a worker keeps the memory of all later ones (core/memory.py has figures).
LARGE_BLOCK = ("MALLOC_MMAP_THRESHOLD_", str(512 * 1024))
SHUTDOWN_LIMIT = 10  # seconds that a worker may take to finish its requests

DEMO_LOGINS = """\
  Staff      admin / admin, merchandiser / merchandiser
  Clients    demo-backend / demo-backend-secret (server side), demo-storefront (shoppers), tenant demo
  Customers  household-1@example.com, password demo
  Data       The Complete Journey by 84.51°, for research and education (docs/demo-data.md)
"""


def threads_per_worker(environ: Mapping[str, str]) -> int:
    """Return how many reads a worker works on at a time, and as many writes; more wait for their turn."""
    return Limits.from_environment(environ).threads


class ServerUnavailable(Exception):
    """The server cannot be started or stopped. The message says why and what to do."""


class ServerFile:
    """The file that names the running server's process. Its lock tells whether that process still lives."""

    def __init__(self, folder: Path, name: str = "server.pid") -> None:
        self.path = folder / name

    def claim(self) -> None:
        """Write our process into the file and keep it locked until this process ends, through any exec.

        Raises ServerUnavailable when another server of this checkout runs.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        if not _wait_until(lambda: _locks(descriptor)):
            raise ServerUnavailable(
                f"The server is already running (process {self.pid}). Stop it with `make stop`."
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        os.set_inheritable(descriptor, True)

    @property
    def pid(self) -> int:
        """The process id of the running server; 0 when there is none."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return 0
        try:
            return 0 if _locks(descriptor) else int(self.path.read_text().strip() or 0)
        finally:
            os.close(descriptor)

    def stop(self) -> bool:
        """End the server after its present requests; False when none was running."""
        pid = self.pid
        if not pid:
            return False
        for number in (signal.SIGTERM, signal.SIGKILL):
            send(pid, number)
            if _wait_until(lambda: self.pid != pid, patience=2 * SHUTDOWN_LIMIT):
                return True
        raise ServerUnavailable(f"The server (process {pid}) does not stop.")


class WorkerFile(ServerFile):
    """The file of one background worker. There may be any number of them."""

    @classmethod
    @contextmanager
    def claimed(cls, folder: Path) -> Iterator[None]:
        """Name this process as a background worker until the end of the block."""
        file = cls(folder, f"worker-{os.getpid()}.pid")
        file.claim()
        try:
            yield
        finally:
            file.path.unlink(missing_ok=True)

    @classmethod
    def stop_all(cls, folder: Path) -> int:
        """End the background workers of this checkout after their present slices; return how many ran."""
        files = [cls(folder, path.name) for path in sorted(folder.glob("worker-*.pid"))]
        stopped = sum(file.stop() for file in files)
        for file in files:
            file.path.unlink(missing_ok=True)
        return stopped


def require_free_port(host: str, port: int) -> None:
    """Raise ServerUnavailable when another program has the port.

    granian's workers share their port with whoever asks, so without this a second server would start
    and silently get every other request.
    """
    if not _wait_until(lambda: _binds(host, port)):
        raise ServerUnavailable(
            f"Port {port} of {host} is in use by another program, or not allowed. "
            f"Stop that program, or choose another port: make run PORT={port + 1}"
        )


def _binds(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _locks(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_until(holds: Callable[[], bool], patience: float = PATIENCE) -> bool:
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(PAUSE)
    return True


def _announce(host: str, port: int, *, with_demo: bool) -> None:
    """Say where everything is, as soon as the first answer has come."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    while not _answers(reachable, port):
        time.sleep(PAUSE)
    address = f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"
    text = f"\nReady.\n  Admin      {address}/admin/\n  API        {address}/docs\n"
    text += f"  Shop       {address}/shop/\n{DEMO_LOGINS}" if with_demo else ""
    print(text + "Stop with Ctrl-C; `make stop` stops the database as well.", flush=True)  # noqa: T201


def _answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m config.server.granian")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--workers", required=True, type=int)
    parser.add_argument("--threads", default=threads_per_worker(os.environ), type=int)
    parser.add_argument("--background-workers", default=0, type=int)
    parser.add_argument("--with-demo", action="store_true")
    arguments = parser.parse_args()

    os.environ["SERVICE_ROLE"] = "web"
    os.environ["WEB_WORKERS"] = str(arguments.workers)
    os.environ.setdefault(*LARGE_BLOCK)  # the workers are new processes, which read it when they start
    multiprocessing.set_start_method("spawn")  # a forked worker would inherit locks of our threads
    folder = make_metrics_folder(Path(Environment(os.environ).text("VAR_DIR", default=str(ROOT / "var"))))
    limits = replace(Limits.from_environment(os.environ), threads=arguments.threads)
    server = Parent(
        "config.wsgi.application",
        address=arguments.host,
        port=arguments.port,
        interface=Interfaces.ASGINL,
        workers=arguments.workers,
        blocking_threads=1,
        backpressure=connections_per_worker(),
        backlog=BACKLOG,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_TIMEOUT * 1_000),
        respawn_failed_workers=True,
        workers_kill_timeout=SHUTDOWN_LIMIT,
        websockets=False,
        log_level=LogLevels.warning,
        background_workers=arguments.background_workers,
    )
    announcement = partial(_announce, arguments.host, arguments.port, with_demo=arguments.with_demo)
    threading.Thread(target=announcement, daemon=True).start()
    load: Any = partial(load_front, os.getpid(), server.heartbeats, limits)
    try:
        server.serve(spawn_target=run_worker, target_loader=load, wrap_loader=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
