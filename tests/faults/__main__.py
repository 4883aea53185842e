"""Drives the faults that take long against a real server on the demo shop, and prints a table.

`make faults`, or `python -m tests.faults [--minutes 10] [name ...]`.
"""

import argparse
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from urllib.parse import quote, urlencode

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import psycopg  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from config.server.embedded_postgres.server import EmbeddedServer  # noqa: E402
from tests.faults.disks import SmallDisk  # noqa: E402
from tests.faults.proxies import FreezableProxy  # noqa: E402
from tests.faults.servers import (  # noqa: E402
    PROJECT,
    WebServer,
    half_post,
    megabytes_of,
    pause,
    raise_open_files,
)

SEGMENTS = "/customer-segment/demo/segments"
COLUMNS = (
    "fault",
    "kills",
    "seconds",
    "requests",
    "answered",
    "503",
    "other 5xx",
    "unanswered",
    "health p50 / max ms",
    "read p50 / max ms",
    "writes acknowledged / lost / doubled",
    "longest outage s",
    "MB a worker",
)


@dataclass
class Measured:
    """What clients saw while a fault lasted."""

    statuses: list[int] = field(default_factory=list)
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {"health": [], "read": []})
    acknowledged: list[str] = field(default_factory=list)
    last_good: float = field(default_factory=time.monotonic)
    outage: float = 0.0

    def note(self, kind: str, status: int, seconds: float) -> None:
        self.statuses.append(status)
        if status and kind in self.milliseconds:
            self.milliseconds[kind].append(seconds * 1_000)
        if 200 <= status < 300 and kind != "health":
            now = time.monotonic()
            self.outage = max(self.outage, now - self.last_good)
            self.last_good = now


class Traffic:
    """Asks for health, reads, and writes, one after the other each, until it is stopped.

    `session` is of the database that the server uses, and not a way through the fault.
    """

    def __init__(self, server: WebServer, token: str, session: Callable[[], psycopg.Connection]) -> None:
        self.server = server
        self.token = token
        self.session = session
        self.prefix = f"fault-{random.getrandbits(32):x}"
        self.measured = Measured()
        self.is_over = threading.Event()
        self.threads = [threading.Thread(target=run) for run in (self._probe, self._read, self._write)]

    def __enter__(self) -> "Traffic":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def _send(self, kind: str, method: str, path: str, body: str | None = None) -> int:
        started = time.monotonic()
        named = {"Authorization": self.token, "Content_Type": "application/json"}
        status, _ = self.server.send(method, path, body, **named)
        self.measured.note(kind, status, time.monotonic() - started)
        self.is_over.wait(0.05)
        return status

    def _probe(self) -> None:
        while not self.is_over.is_set():
            self._send("health", "GET", "/healthz")

    def _read(self) -> None:
        while not self.is_over.is_set():
            self._send("read", "GET", f"{SEGMENTS}?pageSize=5")

    def _write(self) -> None:
        number = 0
        while not self.is_over.is_set():
            number += 1
            name = f"{self.prefix}-{number}"
            body = {"id": name, "name": {"en": name}, "siteCode": "main", "status": "INACTIVE"}
            while not self.is_over.is_set():  # as a client does: again, until there is an answer
                status = self._send("write", "POST", SEGMENTS, json.dumps(body))
                if status in {201, 409}:  # 409: the one before had been written
                    self.measured.acknowledged.append(name)
                    break

    def lost_and_doubled(self) -> tuple[int, int]:
        """Compare what was acknowledged with what is stored, and remove it."""
        with self.session() as session:
            found = session.execute(
                "DELETE FROM segments_segment WHERE external_id LIKE %s RETURNING external_id",
                [f"{self.prefix}-%"],
            )
            stored = [name for (name,) in found]
        acknowledged = set(self.measured.acknowledged)
        return len(acknowledged - set(stored)), len(stored) - len(set(stored))

    def row(self, name: str, kills: int | None, seconds: float) -> list[str]:
        found = self.measured
        failed = sum(status >= 500 for status in found.statuses)
        lost, doubled = self.lost_and_doubled()
        return [
            name,
            str(kills or ""),
            f"{seconds:.0f}",
            f"{len(found.statuses):,}",
            f"{sum(200 <= status < 500 for status in found.statuses):,}",
            f"{found.statuses.count(503):,}",
            f"{failed - found.statuses.count(503):,}",
            f"{found.statuses.count(0):,}",
            *(
                f"{median(times):.1f} / {max(times):.0f}" if times else "none"
                for times in found.milliseconds.values()
            ),
            f"{len(found.acknowledged):,} / {lost} / {doubled}",
            f"{found.outage:.1f}",
            " ".join(str(megabytes_of(pid)) for pid in self.server.pids()),
        ]


def hold_for(seconds: float, *, each_second: Callable[[], None] = lambda: None) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        each_second()
        time.sleep(1)


@contextmanager
def clients(server: WebServer, number: int, first: Callable[[int], bytes]) -> Iterator[list[socket.socket]]:
    """Connections that each sent their first bytes."""
    opened = []
    for place in range(number):
        client = server.connect()
        client.sendall(first(place))
        opened.append(client)
    yield opened
    for client in opened:
        client.close()


def nothing(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """Without any fault, for comparison."""
    hold_for(30)


def slow(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """1,000 clients send headers or bodies byte by byte, or nothing; each that is refused comes again."""
    kinds = [half_post(length=1_000_000), b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b""]
    with clients(server, 1_000, lambda place: kinds[place % 3]) as opened:

        def trickle() -> None:
            poll = select.poll()
            places = {client.fileno(): place for place, client in enumerate(opened)}
            for client in opened:
                poll.register(client, select.POLLIN)
            refused = {places[descriptor] for descriptor, _ in poll.poll(0)}
            for place, client in enumerate(opened):
                if place in refused:
                    client.close()
                    opened[place] = server.connect()
                    opened[place].sendall(kinds[place % 3])
                elif place % 3 != 2:
                    try:
                        client.sendall(b"x")
                    except OSError:
                        continue  # it was closed just now; the next round replaces it

        hold_for(minutes * 60, each_second=trickle)


def idle(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """5,000 keep-alive connections that sent one request and are silent since."""
    with clients(server, 5_000, lambda place: b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        hold_for(60)


def worker(server: WebServer, proxy: FreezableProxy, minutes: float) -> int:
    """Every two seconds the newest worker is killed, for a minute."""
    killed = []

    def kill() -> None:
        if len(pids := server.pids()) == server.workers:
            os.kill(max(pids), signal.SIGKILL)
            killed.append(max(pids))
        time.sleep(1)

    hold_for(60, each_second=kill)
    return len(killed)


def parent(server: WebServer, proxy: FreezableProxy, minutes: float) -> int:
    """The server process is killed four times; a supervisor starts it again, as systemd would."""
    for _ in range(4):
        hold_for(4)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        time.sleep(1)
        server.start()
    hold_for(4)
    return 4


def postmaster(server: WebServer, proxy: FreezableProxy, minutes: float) -> int:
    """PostgreSQL's first process is killed four times; whoever needs the embedded server starts it."""
    for _ in range(4):
        hold_for(5)
        os.kill(postmaster_pid(), signal.SIGKILL)
    hold_for(10)
    return 4


def backend(server: WebServer, proxy: FreezableProxy, minutes: float) -> int:
    """A session of the web server is killed eight times, at which PostgreSQL ends all and recovers."""
    killed = 0
    for _ in range(8):
        hold_for(3)
        with own_session() as session:
            found = session.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend' LIMIT 1"
            ).fetchone()
        if found:
            os.kill(found[0], signal.SIGKILL)
            killed += 1
    hold_for(5)
    return killed


def import_command(server: WebServer, proxy: FreezableProxy, minutes: float) -> int:
    """An import of 40,000 customers is killed again and again, and resumed; all have to be there once."""
    rows = 40_000
    prefix = f"fault-{random.getrandbits(32):x}"
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "customers.jsonl"
        file.write_text(
            "".join(
                json.dumps({"id": f"{prefix}-{number}", "contactEmail": f"{prefix}-{number}@example.com"})
                + "\n"
                for number in range(rows)
            )
        )
        words = [sys.executable, "manage.py", "upsert_customers", str(file), "--tenant", "demo", "--quiet"]
        words += ["--batch-size", "4000"]
        try:
            while True:
                written = imported(prefix)
                run = subprocess.Popen(
                    [*words, *(["--resume"] if written else [])],
                    cwd=PROJECT,
                    env={**os.environ, "DEBUG": "1"},
                )
                while run.poll() is None and (killed == 5 or imported(prefix) == written):
                    time.sleep(0.05)
                if run.poll() is not None:
                    break
                run.kill()  # in its second batch
                run.wait()
                killed += 1
            if run.returncode:
                print(f"The import ended with {run.returncode}.")
        finally:
            with own_session() as session:
                found = session.execute(
                    "DELETE FROM accounts_customer WHERE external_id LIKE %s RETURNING external_id",
                    [f"{prefix}-%"],
                ).fetchall()
    if len(found) != rows or len(set(found)) != rows:
        print(f"The import was to write {rows:,} customers; {len(found):,} were there.")
    return killed


def imported(prefix: str) -> int:
    """Return how many customers of an import are committed."""
    with own_session() as session:
        found = session.execute(
            "SELECT count(*) FROM accounts_customer WHERE external_id LIKE %s", [f"{prefix}-%"]
        ).fetchone()
        return found[0] if found else 0


def full_disk(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """The file system of the database is full for 30 seconds."""
    hold_for(5)
    DISK.fill()
    hold_for(30)
    DISK.free()
    hold_for(15)


def postmaster_pid() -> int:
    return EmbeddedServer(data=settings.VAR_DIR / "pg", profile="production").pid


def own_session() -> psycopg.Connection:
    """Connect beside the proxy, as soon as the server is there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return psycopg.connect(**connection.get_connection_params(), autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def stopped(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """SIGSTOP of one of two workers."""
    pause(server.pids()[0])
    hold_for(30)


def frozen(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """The database passes on nothing for 30 seconds."""
    hold_for(5)
    proxy.freeze()
    hold_for(30)
    proxy.thaw()
    hold_for(15)


def read_only(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """The database only reads for 20 seconds, as after a failover, and all sessions end."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        try:
            cursor.execute(end)
            hold_for(20)
        finally:
            cursor.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        hold_for(10)


FAULTS = {
    run.__name__: run
    for run in (
        nothing,
        slow,
        idle,
        worker,
        parent,
        postmaster,
        backend,
        import_command,
        stopped,
        frozen,
        read_only,
        full_disk,
    )
}
DIRECT = {"parent", "postmaster", "backend", "import_command"}  # these faults bypass the proxy
DISK = SmallDisk(megabytes=400)


def token_of(server: WebServer, client: str, secret: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    status, body = server.send(
        "POST", "/oauth/token", urlencode(form), Content_Type="application/x-www-form-urlencoded"
    )
    if status != 200:
        sys.exit(f"The demo shop is needed (make demo); /oauth/token answers {status}.")
    return f"Bearer {json.loads(body)['access_token']}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--minutes", type=float, default=10, help="how long the slow clients stay")
    parser.add_argument("faults", nargs="*", help=f"some of: {', '.join(FAULTS)}")
    options = parser.parse_args()
    if problem := raise_open_files(12_000):
        print(f"The numbers of clients cannot be reached: {problem}.")
    parameters = connection.get_connection_params()
    if not str(parameters.get("host", "")).startswith("/"):
        sys.exit("This needs the embedded PostgreSQL, or one that DATABASE_URL reaches by a socket's folder.")
    proxy = FreezableProxy(Path(parameters["host"]) / f".s.PGSQL.{parameters.get('port') or 5432}")
    url = f"postgres://{quote(parameters['user'])}@127.0.0.1:{proxy.port}/{connection.settings_dict['NAME']}"
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for name in options.faults or FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            client = ("demo-backend", "demo-backend-secret")
            environ, session = {} if name in DIRECT else {"DATABASE_URL": url}, own_session
            if name == "full_disk":
                if problem := DISK.mount():
                    print(f"full_disk was not driven: {problem}.")
                    continue
                environ, session, client = DISK.environ, DISK.session, DISK.make_shop()
            server = WebServer(workers=2, log=Path(folder) / "log", **environ)
            server.start()
            try:
                traffic = Traffic(server, token_of(server, *client), session)
                started = time.monotonic()
                with traffic:
                    killed = FAULTS[name](server, proxy, options.minutes)
                print(f"| {' | '.join(traffic.row(name, killed, time.monotonic() - started))} |", flush=True)
            finally:
                server.kill()
                DISK.unmount()
    proxy.close()


if __name__ == "__main__":
    main()
