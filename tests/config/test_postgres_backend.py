import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction

from config.server.connections import close_if_unusable
from config.server.management.commands import migrate
from config.server.postgres import base
from config.server.postgres.base import DatabaseUnavailable, DatabaseWrapper
from core.json_types import JsonObject
from core.sql.fetching import ServerSilent
from tests.ports import reserved_port
from tests.waiting import PATIENCE


@pytest.fixture
def other_wrapper(db: None) -> Iterator[DatabaseWrapper]:
    """A second connection of Django to the test's database, with settings of its own."""
    wrapper = connection.copy()
    wrapper.settings_dict = {
        **wrapper.settings_dict,
        "CONN_MAX_AGE": 600,
        "OPTIONS": {**wrapper.settings_dict["OPTIONS"]},
    }
    yield wrapper
    wrapper.close()


@pytest.fixture
def needs_primary(other_wrapper: DatabaseWrapper) -> DatabaseWrapper:
    other_wrapper.settings_dict["OPTIONS"]["target_session_attrs"] = "read-write"
    return other_wrapper


def ask(wrapper: DatabaseWrapper, sql: str = "SELECT 1") -> object:
    with wrapper.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


# --- deadlines


def test_a_statement_that_the_server_does_not_end_ends_at_the_deadline(other_wrapper):
    other_wrapper.settings_dict["STATEMENT_DEADLINE"] = 0.2
    # the server itself goes on until then, and a database in use cannot be dropped
    other_wrapper.settings_dict["OPTIONS"]["options"] = "-c statement_timeout=2000"

    with pytest.raises(OperationalError, match=r"^PostgreSQL did not answer within 0\.2 s\.$") as failure:
        ask(other_wrapper, "SELECT pg_sleep(60)")

    assert isinstance(failure.value.__cause__, ServerSilent)
    assert other_wrapper.connection.closed
    close_if_unusable(other_wrapper)
    other_wrapper.settings_dict["STATEMENT_DEADLINE"] = PATIENCE
    assert ask(other_wrapper) == (1,)


def test_without_a_deadline_statements_take_as_long_as_they_take(other_wrapper):
    ask(other_wrapper, "SELECT pg_sleep(0.3)")
    assert other_wrapper.connection.statement_deadline is None


# --- read-only servers


def test_a_connection_that_had_a_read_only_error_is_replaced(needs_primary):
    ask(needs_primary, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    former = needs_primary.connection
    with pytest.raises(Exception, match="read-only transaction"):
        ask(needs_primary, "CREATE TABLE refused (a int)")

    close_if_unusable(needs_primary)

    assert former.closed
    assert needs_primary.connection is None


def test_a_connection_is_left_as_soon_as_the_server_reports_that_it_is_read_only(needs_primary):
    ask(needs_primary, "SET default_transaction_read_only = on")
    former = needs_primary.connection

    close_if_unusable(needs_primary)

    assert former.closed


def test_a_read_only_server_is_not_connected_to(needs_primary):
    needs_primary.settings_dict["OPTIONS"]["options"] = "-c default_transaction_read_only=on"
    with pytest.raises(OperationalError, match="session is read-only"):
        ask(needs_primary)


def test_a_process_for_a_replica_keeps_its_connection(other_wrapper):
    other_wrapper.settings_dict["OPTIONS"]["options"] = "-c default_transaction_read_only=on"
    ask(other_wrapper)
    former = other_wrapper.connection

    close_if_unusable(other_wrapper)

    assert other_wrapper.connection is former
    assert other_wrapper.is_read_only()


# --- waiting for the server


@pytest.fixture
def unused_port() -> Iterator[int]:
    with reserved_port() as port:
        yield port


def elsewhere(wrapper: DatabaseWrapper, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the wrapper look for its server at this port, where there is none yet."""
    parameters = {"host": "127.0.0.1", "port": port, "dbname": "segments", "connect_timeout": 2}
    monkeypatch.setattr(wrapper, "get_connection_params", lambda: parameters)
    # the embedded server's wrapper would start its server
    monkeypatch.setattr(type(wrapper), "get_new_connection", DatabaseWrapper.get_new_connection)


def test_a_command_waits_for_the_server_and_says_so_once(other_wrapper, unused_port, monkeypatch, caplog):
    elsewhere(other_wrapper, unused_port, monkeypatch)
    monkeypatch.setattr(base, "PAUSE", 0.01)
    other_wrapper.settings_dict["CONNECTION_WAIT"] = 0.5

    with pytest.raises(DatabaseUnavailable, match="did not accept connections within 0.5 s: "):
        other_wrapper.ensure_connection()

    waits = [record.message for record in caplog.records if record.name == base.__name__]
    where = f"host=127.0.0.1 port={unused_port} dbname=segments"
    assert waits == [f"Waiting up to 0.5 s for PostgreSQL ({where})."]


def test_a_command_connects_as_soon_as_the_server_is_there(other_wrapper, monkeypatch):
    attempts = []
    connect = other_wrapper._connect

    def connect_at_third(parameters: JsonObject) -> Any:
        attempts.append(parameters)
        if len(attempts) < 3:
            raise psycopg.OperationalError("connection refused")
        return connect(parameters)

    monkeypatch.setattr(base, "PAUSE", 0.01)
    monkeypatch.setattr(other_wrapper, "_connect", connect_at_third)
    monkeypatch.setattr(base, "ping", lambda parameters: base.pq.Ping.NO_RESPONSE)
    other_wrapper.settings_dict["CONNECTION_WAIT"] = 60
    assert ask(other_wrapper) == (1,)
    assert len(attempts) == 3


def test_a_refused_connection_is_not_waited_for(other_wrapper, monkeypatch):
    parameters = {**other_wrapper.get_connection_params(), "dbname": "no_such_database"}
    monkeypatch.setattr(other_wrapper, "get_connection_params", lambda: parameters)
    monkeypatch.setattr(type(other_wrapper), "get_new_connection", DatabaseWrapper.get_new_connection)
    other_wrapper.settings_dict["CONNECTION_WAIT"] = 60
    with pytest.raises(DatabaseUnavailable, match=r"refuses the connection: .*no_such_database"):
        other_wrapper.ensure_connection()


# --- migrate


@pytest.mark.django_db(transaction=True)
def test_migrate_gives_up_its_lock_and_tries_again(monkeypatch):
    delays: list[float] = []
    here, sleep = threading.current_thread(), time.sleep  # threads of other tests may still end
    release = threading.Event()
    monkeypatch.setenv("MIGRATION_LOCK_TIMEOUT_MS", "100")

    def apply(self: Any, *arguments: object, **options: object) -> None:
        ask(connection, "LOCK TABLE django_migrations")

    def wait(delay: float) -> None:
        if threading.current_thread() is not here:
            sleep(delay)
            return
        delays.append(delay)
        if len(delays) == 2:
            release.set()
            holder.join()

    monkeypatch.setattr(migrate.migrate.Command, "handle", transaction.atomic(apply))
    monkeypatch.setattr(migrate.time, "sleep", wait)
    held = threading.Event()

    def hold() -> None:
        with psycopg.connect(**connection.get_connection_params()) as session:
            session.execute("LOCK TABLE django_migrations")
            held.set()
            release.wait(PATIENCE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(PATIENCE)
    call_command("migrate", verbosity=0)
    assert delays == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_migrate_says_in_the_end_what_to_do(monkeypatch):
    monkeypatch.setenv("MIGRATION_LOCK_TIMEOUT_MS", "10")
    monkeypatch.setattr(migrate.time, "sleep", lambda delay: None)
    apply = transaction.atomic(lambda self, *a, **o: ask(connection, "LOCK TABLE django_migrations"))
    monkeypatch.setattr(migrate.migrate.Command, "handle", apply)
    with psycopg.connect(**connection.get_connection_params()) as session:
        session.execute("LOCK TABLE django_migrations")
        with pytest.raises(CommandError, match="^Another session holds a lock that a migration needs; 8 at"):
            call_command("migrate", verbosity=0)
