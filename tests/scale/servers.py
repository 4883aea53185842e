"""A primary, streaming replicas and PgBouncer on one machine, by the embedded PostgreSQL's programs."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

import psycopg

from config.server.embedded_postgres.places import binaries_folder
from config.server.embedded_postgres.processes import run_as, send
from config.server.embedded_postgres.server import DATABASE, USER, EmbeddedServer
from config.server.embedded_postgres.tuning import PORT
from tests.waiting import wait_until

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
        self.server = EmbeddedServer(data=folder / name / "pg", profile="production")

    def start(self) -> None:
        self.server.ensure_running()

    @property
    def sockets(self) -> str:
        assert self.server.places is not None
        return str(self.server.places.sockets)

    @property
    def url(self) -> str:
        return f"postgres://{USER}@/{DATABASE}?host={quote(self.sockets, safe='')}&port={PORT}"

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(
            host=self.sockets, port=PORT, user=USER, dbname=DATABASE, autocommit=True
        ) as session:
            cursor = session.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """Kill the first process and wait until the others have noticed."""
        pid = self.server.pid
        send(pid, signal.SIGKILL)
        wait_until(lambda: not self.server.pid)

    def stop(self) -> None:
        self.server.stop()
        if self.server.places:
            shutil.rmtree(self.server.places.sockets, ignore_errors=True)


def replica_of(primary: Database, name: str, folder: Path) -> Database:
    """Copy the primary and let the copy follow it."""
    replica = Database(name, folder)
    assert primary.server.places is not None
    account = primary.server.places.account
    replica.server.wanted.parent.mkdir(parents=True, exist_ok=True)
    if account is not None:
        os.chown(replica.server.wanted.parent, account.uid, account.gid)
    source = f"host={primary.sockets} port={PORT} user={USER} application_name={name}"
    program = binaries_folder(account) / "pg_basebackup"
    words = ["--pgdata", str(replica.server.wanted), "--dbname", source, "--write-recovery-conf"]
    done = run_as(account, [str(program), *words, "--wal-method=stream", "--checkpoint=fast"])
    assert done.returncode == 0, done.stdout
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
        account = database.server.places and database.server.places.account
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
