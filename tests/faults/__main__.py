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

from django.db import connection  # noqa: E402

from tests.faults.proxies import FreezableProxy  # noqa: E402
from tests.faults.servers import WebServer, half_post, megabytes_of, raise_open_files  # noqa: E402

SEGMENTS = "/customer-segment/demo/segments"
COLUMNS = (
    "fault",
    "seconds",
    "requests",
    "answered",
    "503",
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
    """Asks for health, reads, and writes, one after the other each, until it is told to stop."""

    def __init__(self, server: WebServer, token: str) -> None:
        self.server = server
        self.token = token
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
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT external_id FROM segments_segment WHERE external_id LIKE %s", [f"{self.prefix}-%"]
            )
            stored = [name for (name,) in cursor.fetchall()]
            cursor.execute("DELETE FROM segments_segment WHERE external_id LIKE %s", [f"{self.prefix}-%"])
        acknowledged = set(self.measured.acknowledged)
        return len(acknowledged - set(stored)), len(stored) - len(set(stored))

    def row(self, name: str, seconds: float) -> list[str]:
        found = self.measured
        lost, doubled = self.lost_and_doubled()
        return [
            name,
            f"{seconds:.0f}",
            f"{len(found.statuses):,}",
            f"{sum(200 <= status < 500 for status in found.statuses):,}",
            f"{found.statuses.count(503):,}",
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


def kills(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """Every two seconds the newest worker is killed, for a minute."""

    def kill() -> None:
        if len(pids := server.pids()) == server.workers:
            os.kill(max(pids), signal.SIGKILL)
        time.sleep(1)

    hold_for(60, each_second=kill)


def stopped(server: WebServer, proxy: FreezableProxy, minutes: float) -> None:
    """SIGSTOP of one of two workers."""
    os.kill(server.pids()[0], signal.SIGSTOP)
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


FAULTS = {run.__name__: run for run in (nothing, slow, idle, kills, stopped, frozen, read_only)}


def token_of(server: WebServer) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": "demo-backend",
        "client_secret": "demo-backend-secret",
    }
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
            server = WebServer(workers=2, log=Path(folder) / "log", DATABASE_URL=url)
            server.start()
            try:
                traffic = Traffic(server, token_of(server))
                started = time.monotonic()
                with traffic:
                    FAULTS[name](server, proxy, options.minutes)
                print(f"| {' | '.join(traffic.row(name, time.monotonic() - started))} |", flush=True)
            finally:
                server.kill()
    proxy.close()


if __name__ == "__main__":
    main()
