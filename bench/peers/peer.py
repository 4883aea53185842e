"""What Medusa and Vendure have in common: how one is installed, filled, started and asked."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection
from psycopg.sql import SQL, Identifier
from psycopg.types.json import Jsonb

from bench.dataset.people import SHOP
from bench.dataset.segments import FIRST_EMPTY_SEGMENT
from bench.load import HOST, Request
from bench.machine import pin_to_worker_core
from bench.measuring import UnexpectedAnswer
from bench.requests import CODES_EACH, SHOPPERS, ShopRequests
from bench.scales import Scale
from bench.server import PATIENCE, SHUTDOWN, ServerFailed, free_port
from core.json_types import JsonObject

SOURCES = Path(__file__).parent
OLDEST_NODE = (20, 19)
BATCHES = 400  # of 200 customers, more than are added in a run
LONGEST_ANSWER = 300.0  # seconds; those before it may have been left behind by a load that has ended
FILLED = "bench_peer"  # the table that says what a database was filled with


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation of a peer: requests that are sent in turn, and where an answer has how many entries.

    `written` counts in the database what the requests have written, `each` what one writes.
    """

    requests: Sequence[Request]
    path: tuple[str, ...]
    entries: int | None = None
    written: str = ""
    each: int = 1


class Peer(ABC):
    """Another shop's software, with the data set in a database of its own.

    The database's server is reached without TLS.
    """

    folder: str  # beside this file; it has package.json, package-lock.json and what starts it
    package: str  # the one whose version is reported
    prepare_command: tuple[str, ...]
    start_command: tuple[str, ...]
    restoring: tuple[str, ...]  # statements that take back what the operations write

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.port = free_port()
        self.home = settings.VAR_DIR / "peers" / self.folder
        self.log = self.home / "server.log"
        self.database = f"{connection.settings_dict['NAME']}_{self.folder}"
        known = connection.get_connection_params()
        self.address = {name: str(known.get(name) or "") for name in ("host", "port", "user", "password")}

    @property
    def version(self) -> str:
        packages = json.loads((SOURCES / self.folder / "package.json").read_text())
        return packages["dependencies"][self.package]

    @property
    def name(self) -> str:
        return f"{self.folder.capitalize()} {self.version}"

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Return the settings of the software: its port and its database."""

    @abstractmethod
    def fill(self, target: psycopg.Connection) -> None:
        """Write the data set into its migrated database."""

    @abstractmethod
    def operations(self) -> dict[str, Asked]:
        """Return what is asked, by the names of our operations."""

    def install(self) -> None:
        """Let npm install what the lock names, unless that is there already."""
        stamp = self.home / "installed.json"
        lock = (SOURCES / self.folder / "package-lock.json").read_bytes()
        self.home.mkdir(parents=True, exist_ok=True)
        for file in (SOURCES / self.folder).iterdir():
            if file.suffix in (".json", ".js", ".mjs"):
                shutil.copy(file, self.home)
        if stamp.exists() and stamp.read_bytes() == lock:
            return
        self.run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
        stamp.write_bytes(lock)

    def ensure_database(self, *, rebuild: bool = False) -> None:
        """Leave its database holding the data set; one that was filled with the same is used as it is."""
        wanted = {**self.scale.parameters, self.package: self.version}
        if not rebuild and self.is_filled(wanted):
            return
        with connection._nodb_cursor() as cursor:
            name = Identifier(self.database)
            cursor.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            cursor.execute(SQL("CREATE DATABASE {}").format(name))
            cursor.execute(SQL("ALTER DATABASE {} SET jit = off").format(name))
        self.run(*self.prepare_command)
        with self.connect() as target:
            with target.transaction():
                self.fill(target)
                target.execute(f"CREATE TABLE {FILLED} (parameters jsonb NOT NULL)")
                target.execute(f"INSERT INTO {FILLED} VALUES (%s)", [Jsonb(wanted)])
            target.execute("VACUUM ANALYZE")

    def is_filled(self, wanted: JsonObject) -> bool:
        with connection._nodb_cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [self.database])
            if not cursor.fetchall():
                return False
        with self.connect() as target:
            if target.execute("SELECT to_regclass(%s)", [FILLED]).fetchone() == (None,):
                return False
            filled = target.execute(f"SELECT parameters = %s FROM {FILLED}", [Jsonb(wanted)])
            return filled.fetchall() == [(True,)]

    def restore(self) -> None:
        with self.connect() as target:
            for statement in self.restoring:
                target.execute(statement)

    def written(self, asked: Asked) -> int:
        with self.connect() as target:
            [(count,)] = target.execute(asked.written).fetchall()
        return count

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(**self.address, dbname=self.database, autocommit=True)  # type: ignore[arg-type]

    def run(self, *words: str) -> None:
        """Run a command in its folder; end with what it said when it fails."""
        done = subprocess.run(
            words, cwd=self.home, env={**os.environ, **self.variables()}, capture_output=True, text=True
        )
        if done.returncode:
            raise ServerFailed(f"{' '.join(words)} failed.\n{done.stdout}{done.stderr}")

    def variables(self) -> dict[str, str]:
        return {"NODE_ENV": "production", **self.environment()}

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve on the core of the web worker while the block lasts."""
        with self.log.open("w") as log:
            process = subprocess.Popen(
                self.start_command,
                cwd=self.home,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.variables()},
                preexec_fn=pin_to_worker_core,
            )
        try:
            self.wait_until_ready(process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(SHUTDOWN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        since = time.monotonic()
        while True:
            if process.poll() is not None or time.monotonic() - since > 2 * PATIENCE:
                raise ServerFailed(f"{self.name} did not come up.\n{self.log.read_text()}")
            try:
                if self.send(Request("GET", "/health"))[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.2)

    def send(self, request: Request) -> tuple[int, bytes]:
        link = http.client.HTTPConnection(HOST, self.port, timeout=LONGEST_ANSWER)
        try:
            link.request(request.method, request.path, request.body or None, dict(request.headers))
            answer = link.getresponse()
            return answer.status, answer.read()
        finally:
            link.close()

    def check(self, asked: Asked) -> None:
        """Send the requests of a read, or the first of a write; raise UnexpectedAnswer if one is refused."""
        for request in asked.requests[:1] if asked.written else asked.requests:
            status, body = self.send(request)
            found = entries_in(body, asked.path) if status == 200 else None
            if found is None or asked.entries not in (None, found):
                raise UnexpectedAnswer(f"{self.name} answers {status} to {request.path}: {body[:500]!r}")


def entries_in(body: bytes, path: Sequence[str]) -> int | None:
    """Return how many entries an answer has at its path, 1 for what is no list; None if it has errors."""
    found = json.loads(body)
    if "errors" in found:
        return None
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return len(found) if isinstance(found, list) else None if found is None else 1


def codes(shop: ShopRequests) -> list[tuple[int, str]]:
    """Return shoppers with a code of theirs: all with their first, then all with their second, and so on."""
    return [(key, shop.codes_of(key)[place]) for place in range(CODES_EACH) for key in shop.shoppers]


def shoppers_of(scale: Scale) -> str:
    """The condition on our customers that says who has a cart: those that send requests, and some more."""
    return f"id <= {min(scale.customers, 2 * SHOPPERS)}"


def segments_that_count(scale: Scale) -> str:
    """The condition on our segments that says which the peers hold."""
    return f"tenant_id = {SHOP} AND (id <= {scale.effective_segments} OR id >= {FIRST_EMPTY_SEGMENT})"


def copy_rows(target: psycopg.Connection, table: str, columns: Mapping[str, str], source: str) -> None:
    """Write a row of the table for each row of `source`, the FROM clause of a query on our data set.

    `columns` maps columns to expressions over the source.
    """
    names = SQL(", ").join(map(Identifier, columns))
    reading = f"COPY (SELECT {', '.join(columns.values())} {source}) TO STDOUT"
    writing = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), names)
    with (
        connection.cursor() as ours,
        target.cursor() as theirs,
        ours.copy(reading) as rows,
        theirs.copy(writing) as copied,
    ):
        for block in rows:
            copied.write(block)


def missing_node() -> str | None:
    """Say what is missing before anything can be installed, or None."""
    wanted = (
        f"The comparison needs Node {'.'.join(map(str, OLDEST_NODE))} or newer with npm: https://nodejs.org"
    )
    if not (shutil.which("node") and shutil.which("npm")):
        return wanted
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return wanted if version_of(said) < OLDEST_NODE else None


def version_of(said: str) -> tuple[int, int]:
    """Return the first two numbers of what Node says: `v20.19.4`."""
    major, minor, _ = said.strip().removeprefix("v").split(".", 2)
    return int(major), int(minor)
