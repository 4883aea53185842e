"""Real web servers for tests, and clients that misbehave."""

import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from django.db import connection

from config.server.embedded_postgres.processes import command_of
from tests.ports import ReservedPort
from tests.waiting import PATIENCE, wait_until

PROJECT = Path(__file__).resolve().parents[2]
GENEROUS = {
    "WEB_QUEUE_SECONDS": "240",
    "WEB_BODY_SECONDS": "240",
    "WEB_SEND_SECONDS": "240",
    "DATABASE_STATEMENT_TIMEOUT_MS": "240000",
    "DATABASE_LOCK_TIMEOUT_MS": "240000",
}


def database_url(**query: str) -> str:
    """Return the address of the test's database for another process."""
    parameters = connection.get_connection_params()
    options = "".join(f"&{name}={quote(value, safe='')}" for name, value in query.items())
    return (
        f"postgres://{parameters.get('user', '')}:{parameters.get('password') or ''}@"
        f"/{connection.settings_dict['NAME']}?host={quote(parameters['host'], safe='')}"
        f"&port={parameters.get('port') or 5432}{options}"
    )


class WebServer:
    """The project's own web server."""

    def __init__(self, *, workers: int = 1, background: int = 0, log: Path, **environ: str) -> None:
        self.reserved = ReservedPort()
        self.port = self.reserved.number
        self.workers = workers
        self.background = background
        self.log = log
        self.environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "1",
            "SERVICE_ROLE": "web",
            **environ,
        }

    def start(self) -> None:
        """Start the server and wait until all workers are there and one answers."""
        self.start_process()
        wait_until(lambda: self.listeners() == self.workers and self.status_of("/healthz") == 200)

    def start_process(self) -> None:
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self.workers)]
        words += ["--background-workers", str(self.background)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.server.granian", *words],
                cwd=PROJECT,
                env=self.environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill the server and its workers at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """Kill the server, if it runs, and give its port back."""
        if hasattr(self, "process"):
            self.kill()
        self.reserved.give_back()

    def pids(self) -> list[int]:
        """The process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if "spawn_main" in " ".join(command_of(int(pid)))]

    def listeners(self) -> int:
        """How many workers have loaded and accept connections."""
        return sum(map(self.accepts, self.pids()))

    def accepts(self, pid: int) -> bool:
        """Whether a worker waits for connections at the one socket that all share."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        inodes = [int(row[9]) for row in rows if row[1].endswith(f":{self.port:04X}") and row[3] == "0A"]
        watched = watched_by(pid)
        return any(f"ino:{inode:x} " in watched for inode in inodes)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def send(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        """Send a request over a new connection; the status is 0 when there was no response."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        try:
            client.request(method, path, body, named)
            response = client.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            client.close()

    def status_of(self, path: str) -> int:
        return self.send("GET", path)[0]


class PatientServer(WebServer):
    """A web server for tests, whose limits a busy machine does not reach unless the test names them."""

    def __init__(self, *, workers: int = 1, background: int = 0, log: Path, **environ: str) -> None:
        super().__init__(workers=workers, background=background, log=log, **{**GENEROUS, **environ})


def watched_by(pid: int) -> str:
    """What a process waits for, in the kernel's words."""
    described = []
    for entry in Path(f"/proc/{pid}/fdinfo").glob("*"):
        with suppress(OSError):  # closed, or ended, since it was listed
            described.append(entry.read_text())
    return "".join(described)


def pause(pid: int) -> None:
    """Stop a process with SIGSTOP, and wait until all its threads stand still.

    The signal is delivered to one of them: the others go on, and may accept a connection, until it has run.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: states_of_threads(pid) <= {"T"})


def states_of_threads(pid: int) -> set[str]:
    states = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):  # the thread has ended since it was listed
            states.add(stat.read_text().rpartition(")")[2].split()[0])
    return states


def read_response(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body; status 0 when the connection was closed without a response."""
    response = http.client.HTTPResponse(connection)
    try:
        response.begin()
    except (http.client.HTTPException, ConnectionError):
        return 0, {}, b""
    headers = {name.lower(): value for name, value in response.getheaders()}
    return response.status, headers, response.read()


def half_post(path: str = "/nothing", length: int = 1_000) -> bytes:
    """Return a POST of whose body all but the first byte is missing."""
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{{".encode()


def raise_open_files(wanted: int) -> str:
    """Allow this process so many open files; return what to say when that is not allowed, else nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return "" if soft >= wanted else f"only {soft} open files are allowed, {wanted} are needed (ulimit -n)"


def megabytes_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024
