import gc
import select
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, transaction
from django.db.backends.signals import connection_created

from config.server.connections import close_unusable_connection, look_after_connections
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture
def other(transactional_db: None) -> Iterator[psycopg.Connection]:
    """Another session of the same server, in its own transaction for every statement."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as session:
        yield session


@pytest.fixture(autouse=True)
def kept(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep connections from request to request, as a web worker does."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 600)
    signals = (request_started, request_finished, connection_created)
    for signal in signals:
        monkeypatch.setattr(signal, "receivers", list(signal.receivers))
        signal.sender_receivers_cache.clear()
    look_after_connections()
    yield
    connection.close()
    for signal in signals:
        signal.sender_receivers_cache.clear()


def backend() -> int:
    """Return the process that serves Django's connection, connecting first where there is none."""
    connection.ensure_connection()
    return connection.connection.info.backend_pid


def begin_request() -> None:
    close_unusable_connection()


def end(session: psycopg.Connection, pid: int) -> None:
    assert session.execute("SELECT pg_terminate_backend(%s, 240000)", [pid]).fetchone() == (True,)


def test_a_living_connection_is_kept_and_asked_nothing(other):
    pid = backend()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    begin_request()

    assert backend() == pid
    asked = other.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    assert asked == ("SELECT 1",)


def test_a_connection_that_the_server_ended_is_replaced(other):
    pid = backend()
    end(other, pid)

    begin_request()

    assert backend() != pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_connection_that_was_closed_beside_django_is_replaced():
    pid = backend()
    connection.connection.close()

    begin_request()

    assert backend() != pid


def test_a_connection_that_is_told_something_is_kept(other):
    pid = backend()
    with connection.cursor() as cursor:
        cursor.execute("LISTEN news")
    other.execute("NOTIFY news")
    assert select.select([connection.connection], [], [], PATIENCE)[
        0
    ]  # the server sends it when it comes to it

    begin_request()

    assert backend() == pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_a_connection_past_its_age_is_replaced():
    pid = backend()
    connection.close_at = time.monotonic() - 1

    begin_request()

    assert backend() != pid


def test_a_connection_that_failed_and_works_is_kept():
    pid = backend()
    connection.errors_occurred = True

    begin_request()

    assert backend() == pid
    assert not connection.errors_occurred


def test_the_end_of_a_request_keeps_the_connection():
    pid = backend()
    connection.close_at = time.monotonic() - 1

    request_finished.send(sender=WSGIHandler)

    assert backend() == pid


def test_django_closes_connections_that_are_not_kept(monkeypatch):
    request_finished.connect(close_old_connections)
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)

    look_after_connections()

    pid = backend()
    request_finished.send(sender=WSGIHandler)
    assert connection.connection is None
    assert backend() != pid


def test_a_connection_inside_a_transaction_is_left_alone(other):
    with transaction.atomic():
        pid = backend()
        with connection.cursor() as cursor:
            cursor.execute("LISTEN news")
        connection.connection.close()
        begin_request()
        assert connection.connection.closed
        connection.needs_rollback = True
    connection.close()
    assert backend() != pid


def test_a_second_connection_of_a_thread_leaves_the_first_alone():
    pid = backend()
    second = connection.copy()
    try:
        second.ensure_connection()
        assert second.connection.info.backend_pid != pid
    finally:
        second.close()
    assert backend() == pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_the_connection_of_a_thread_ends_with_it(other):
    pids = []

    def serve() -> None:
        connection.settings_dict["CONN_MAX_AGE"] = 600
        pids.append(backend())
        pids.append(backend())

    gc.disable()  # nobody may have to look for garbage
    try:
        thread = threading.Thread(target=serve)
        thread.start()
        thread.join()
        wait_until(lambda: other.execute(BACKENDS, [pids[0]]).fetchone() == (0,))
    finally:
        gc.enable()
    assert pids[0] == pids[1]
