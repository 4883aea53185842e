"""Starts and stops the embedded PostgreSQL, whatever state the last end of a process left behind."""

import fcntl
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq

from config.server.embedded_postgres.places import (
    MAJOR_VERSION,
    EmbeddedPostgresError,
    Places,
    binaries_folder,
    choose_places,
    existing_places,
    make_private_folder,
    make_sockets_folder,
)
from config.server.embedded_postgres.processes import command_of, is_postmaster_of, orphans_of, run_as, send
from config.server.embedded_postgres.tuning import PORT, configuration

USER = "postgres"
DATABASE = "segments"
PAUSE = 0.05  # seconds between two looks at a server that is starting or stopping
PATIENCE = 60.0  # seconds for what ought to take one; crash recovery is never cut short
LOG_LIMIT = 10_000_000  # bytes of the server's log, after which a start begins a new one

# Starts the server outside our session and process group, and tells its process id. Its output goes to a
# file: a pipe would stay open as long as the server runs. PostgreSQL takes the process that the variable
# names for its launcher, as it does with pg_ctl: see _forget_dead_postmaster.
START_SCRIPT = 'PG_GRANDPARENT_PID="$3" "$0" -D "$2" </dev/null >>"$1" 2>&1 & echo $!'
WRITE_SCRIPT = 'umask 077; cat >"$1.new" && mv -f "$1.new" "$1"'

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PostmasterFile:
    """What a server wrote about itself into its data folder. It outlives a server that was killed."""

    lines: list[str]

    @property
    def pid(self) -> int:
        return int(self.lines[0]) if self.lines and self.lines[0].strip().isdigit() else 0

    @property
    def is_ready(self) -> bool:
        return len(self.lines) > 7 and self.lines[7].strip() == "ready"


class EmbeddedServer:
    """The server of one data folder. Any number of processes may use it at once."""

    def __init__(self, *, data: Path | str, profile: str) -> None:
        self.wanted = Path(data)
        self.profile = profile

    def ensure_running(self) -> Path:
        """Return the folder of a server's socket that accepts connections, after starting it if need be.

        Waits without limit while a server recovers from a crash.
        Raises EmbeddedPostgresError when it cannot be started here.
        """
        try:
            places = self.places
            if places is not None and _ping(places.sockets) == pq.Ping.OK:
                return places.sockets
            with self._starting_alone() as lock:
                places = self.places or self._initialise(keep_open=lock)
                self._await_connections(places)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"cannot start PostgreSQL in {self.wanted}: {error}. Start the project as the user who "
                "started it first, set VAR_DIR to a folder of your own, or set DATABASE_URL."
            ) from error
        return places.sockets

    def stop(self) -> bool:
        """Stop the server and wait for its end; False when none was running.

        Open transactions are rolled back.
        Raises EmbeddedPostgresError when it does not end.
        """
        pid = self.pid
        if not pid:
            return False
        for number in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's "fast" and "immediate" shutdowns
            send(pid, number)
            deadline = time.monotonic() + PATIENCE / 2
            while time.monotonic() < deadline:
                if not command_of(pid):
                    return True
                time.sleep(PAUSE)
        raise EmbeddedPostgresError(f"the PostgreSQL server (process {pid}) does not stop.")

    @property
    def pid(self) -> int:
        """The process id of the running server; 0 when there is none."""
        places = self.places
        return 0 if places is None else _live_postmaster(places)

    @property
    def places(self) -> Places | None:
        """Where the data lie; None before the first start."""
        return existing_places(self.wanted)

    @contextmanager
    def _starting_alone(self) -> Iterator[int]:
        """Hold the lock under which a server may be started. The kernel drops it when we are killed."""
        self.wanted.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.wanted.with_name(f"{self.wanted.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)

    def _initialise(self, *, keep_open: int) -> Places:
        """Create the data folder, complete or not at all, with the project's database in it.

        The lock stays open in the programs that do it: should we be killed, nobody else begins before
        they have ended.
        """
        places = choose_places(self.wanted)
        binaries = binaries_folder(places.account)
        unfinished = places.data.with_name(f"{places.data.name}.new")
        if unfinished.exists():
            shutil.rmtree(unfinished)  # of an earlier start that was killed
        make_private_folder(unfinished, places.account)
        logger.info("creating the database in %s", places.data)
        encoding = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access = ["-U", USER, "--auth-local=trust", "--auth-host=reject"]
        steps = [
            ([str(binaries / "initdb"), *access, *encoding, "--no-instructions", "-D", str(unfinished)], ""),
            (
                [str(binaries / "postgres"), "--single", "-D", str(unfinished), "template1"],
                f"CREATE DATABASE {DATABASE}\n",
            ),
        ]
        for command, text in steps:
            done = run_as(places.account, command, text=text, keep_open=[keep_open])
            if done.returncode or "ERROR:" in done.stdout:
                raise EmbeddedPostgresError(f"{Path(command[0]).name} failed: {done.stdout.strip()}")
        unfinished.rename(places.data)
        return places

    def _await_connections(self, places: Places) -> None:
        """Return when the server accepts connections; start it, or start it again, as often as that takes."""
        deadline = time.monotonic() + PATIENCE
        started = 0  # process id of the server that we started ourselves
        log_offset = 0
        while (answer := _ping(places.sockets)) != pq.Ping.OK:
            postmaster = _live_postmaster(places)
            if answer == pq.Ping.REJECT or (started and command_of(started)):
                deadline = time.monotonic() + PATIENCE  # starting, recovering or stopping: it gets there
            elif postmaster and not _postmaster_file(places).is_ready:
                pass  # started by somebody who was killed, or stopping
            elif postmaster and not (places.sockets / f".s.PGSQL.{PORT}").exists():
                logger.warning("the socket of PostgreSQL has vanished: starting the server again")
                self.stop()
            elif not postmaster:
                if started:
                    self._explain_failure(places, log_offset, deadline)
                log_offset = _log_size(places)
                started = self._start(places)
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL in {places.data} does not answer (process {postmaster or started})."
                )
            time.sleep(PAUSE)

    def _explain_failure(self, places: Places, log_offset: int, deadline: float) -> None:
        """Return when another attempt may succeed, else raise what the server said."""
        said = _log_since(places, log_offset)
        if "still in use" not in said or time.monotonic() > deadline:
            raise EmbeddedPostgresError(f"PostgreSQL did not start in {places.data}: {said[-2000:].strip()}")
        for orphan in orphans_of(places.data):  # their postmaster was killed, and they keep its memory
            send(orphan, signal.SIGQUIT)

    def _start(self, places: Places) -> int:
        """Start a server and return its process id; the caller has made sure that none is running."""
        version = (places.data / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise EmbeddedPostgresError(
                f"the data in {places.data} are those of PostgreSQL {version}, this is {MAJOR_VERSION}. "
                "Dump them with the old version of the project, move the folder away and load them again."
            )
        make_sockets_folder(places)
        self._forget_dead_postmaster(places)
        _write(places, "postgresql.conf", configuration(profile=self.profile, sockets=places.sockets))
        if _log_size(places) > LOG_LIMIT:
            _write(places, "server.log", "")
        program, log = binaries_folder(places.account) / "postgres", places.data / "server.log"
        command = ["/bin/sh", "-c", START_SCRIPT, str(program), str(log), str(places.data), str(os.getpid())]
        return int(run_as(places.account, command).stdout)

    def _forget_dead_postmaster(self, places: Places) -> None:
        """Make the lock files of a killed server harmless.

        PostgreSQL refuses to start while the process id in them is anybody's, even a stranger's or a
        zombie's, but for its launcher's. So ours is written instead, and it still checks the rest of the
        file, namely whether orphans hold the old server's memory.
        """
        if lines := _postmaster_file(places).lines:
            _write(places, "postmaster.pid", "\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (places.sockets / name).unlink(missing_ok=True)


def _ping(sockets: Path) -> int:
    """Ask libpq whether a server accepts connections; full, wrong or forbidden ones count as accepting."""
    if not sockets.is_dir():
        return pq.Ping.NO_RESPONSE
    return pq.PGconn.ping(
        f"host={sockets} port={PORT} user={USER} dbname=postgres connect_timeout=3".encode()
    )


def _postmaster_file(places: Places) -> PostmasterFile:
    try:
        return PostmasterFile((places.data / "postmaster.pid").read_text(errors="replace").splitlines())
    except FileNotFoundError:
        return PostmasterFile([])


def _live_postmaster(places: Places) -> int:
    pid = _postmaster_file(places).pid
    return pid if pid and is_postmaster_of(pid, places.data) else 0


def _write(places: Places, name: str, text: str) -> None:
    """Replace a file in the data folder, as the folder's owner: root must not follow that user's links."""
    command = ["/bin/sh", "-c", WRITE_SCRIPT, "sh", str(places.data / name)]
    done = run_as(places.account, command, text=text)
    if done.returncode:
        raise EmbeddedPostgresError(f"cannot write {places.data / name}: {done.stdout.strip()}")


def _log_size(places: Places) -> int:
    try:
        return (places.data / "server.log").stat().st_size
    except FileNotFoundError:
        return 0


def _log_since(places: Places, offset: int) -> str:
    with (places.data / "server.log").open("rb") as log:
        log.seek(offset)
        return log.read().decode(errors="replace")
