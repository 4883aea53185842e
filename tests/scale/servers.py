"""A primary, streaming replicas and PgBouncer on one machine.

The servers are those of the embedded PostgreSQL, or of the programs in the folder SCALE_POSTGRES, such as
/usr/lib/postgresql/15/bin.
"""

import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg

from config.server.embedded_postgres.places import binaries_folder, choose_places
from config.server.embedded_postgres.processes import orphans_of, run_as, send
from config.server.embedded_postgres.server import DATABASE, USER
from config.server.embedded_postgres.tuning import PORT, configuration
from tests.waiting import PATIENCE, wait_until

BOUNCER = """
[databases]
segments = host={sockets} port={port} dbname={database} connect_query='{query}'
[pgbouncer]
unix_socket_dir = {folder}
listen_port = 6432
listen_addr =
auth_type = any
pool_mode = {mode}
default_pool_size = 8
ignore_startup_parameters = options,extra_float_digits
logfile = {folder}/log
pidfile = {folder}/pid
user = nobody
"""


class Database:
    """One PostgreSQL server."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.data = self.folder / "pg"
        self.folder.mkdir()
        self.account = choose_places(self.data).account
        self.programs = Path(os.environ.get("SCALE_POSTGRES") or binaries_folder(self.account))
        self._own(self.folder)

    @property
    def sockets(self) -> str:
        return str(self.folder)

    @property
    def url(self) -> str:
        return f"postgres://{USER}@/{DATABASE}?host={quote(self.sockets, safe='')}&port={PORT}"

    def initialise(self) -> None:
        """Make the server's data, with an empty database; start it."""
        access = ["--username", USER, "--auth-local=trust", "--auth-host=reject"]
        self.run("initdb", *access, "--encoding=UTF8", "--locale=C", "--pgdata", str(self.data))
        self.start()
        self.ask(f"CREATE DATABASE {DATABASE}", database="postgres")

    def start(self) -> None:
        settings = self.data / "postgresql.conf"
        settings.write_text(configuration(profile="production", sockets=self.folder))
        self._own(settings)
        words = ["--log", str(self.folder / "log"), "--wait", "--timeout", str(int(PATIENCE))]
        self.run("pg_ctl", "--pgdata", str(self.data), *words, "start")

    def ask(self, statement: str, *, database: str = DATABASE) -> list[tuple[object, ...]]:
        with psycopg.connect(
            host=self.sockets, port=PORT, user=USER, dbname=database, autocommit=True
        ) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """Kill the first process and wait until the others have noticed."""
        send(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        wait_until(lambda: not [*orphans_of(self.data)])

    def stop(self) -> None:
        """Stop the server, if it runs."""
        if (self.data / "postmaster.pid").exists():
            command = [str(self.programs / "pg_ctl"), "--pgdata", str(self.data), "--mode=immediate", "stop"]
            run_as(self.account, command)

    def run(self, program: str, *words: str) -> None:
        done = run_as(self.account, [str(self.programs / program), *words])
        assert done.returncode == 0, done.stdout

    def _own(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def replica_of(primary: Database, name: str, folder: Path) -> Database:
    """Copy the primary and let the copy follow it."""
    replica = Database(name, folder)
    source = f"host={primary.sockets} port={PORT} user={USER} application_name={name}"
    words = ["--pgdata", str(replica.data), "--dbname", source, "--write-recovery-conf"]
    replica.run("pg_basebackup", *words, "--wal-method=stream", "--checkpoint=fast")
    replica.start()
    return replica


def follow(replica: Database, primary: Database) -> None:
    source = f"host={primary.sockets} port={PORT} user={USER} application_name={replica.name}"
    replica.ask(f"ALTER SYSTEM SET primary_conninfo = '{source}'")
    replica.ask("SELECT pg_reload_conf()")


class Bouncer:
    """PgBouncer before a server, when there is one on this machine."""

    def __init__(self, database: Database, folder: Path, mode: str) -> None:
        self.folder = folder / f"pgbouncer-{mode}"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        account = database.account
        text = BOUNCER.format(
            query="SET statement_timeout = 5000; SET lock_timeout = 3000",
            sockets=database.sockets,
            port=PORT,
            database=DATABASE,
            folder=self.folder,
            mode=mode,
        )
        # the socket of the server is open to its own user only
        text = text.replace("user = nobody", f"user = {account.name}" if account else "")
        text = text.replace("dbname=segments", f"dbname=segments user={USER}")
        (self.folder / "pgbouncer.ini").write_text(text)
        self.process = subprocess.Popen(["pgbouncer", "-q", str(self.folder / "pgbouncer.ini")])
        wait_until(lambda: (self.folder / ".s.PGSQL.6432").exists())

    @property
    def url(self) -> str:
        return f"postgres://{USER}@/segments?host={quote(str(self.folder), safe='')}&port=6432"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
