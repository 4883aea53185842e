import select
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection as django_connection
from psycopg_pool import ConnectionPool

from config.connections import PooledConnection

LAST_STATEMENT = "SELECT query FROM pg_stat_activity WHERE pid = %s"


@pytest.fixture
def pooled(db: None) -> Iterator[PooledConnection]:
    connection = PooledConnection.connect(**django_connection.get_connection_params(), autocommit=True)
    yield connection
    connection.close()


def asked_last(pid: int) -> str:
    with django_connection.cursor() as cursor:
        cursor.execute(LAST_STATEMENT, [pid])
        return cursor.fetchone()[0]


def test_the_check_of_a_living_connection_sends_nothing(pooled):
    pooled.execute("SELECT 1")
    ConnectionPool.check_connection(pooled)
    assert asked_last(pooled.info.backend_pid) == "SELECT 1"


def test_a_connection_that_the_server_ended_fails_its_check(pooled):
    with django_connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pooled.info.backend_pid])
        assert cursor.fetchone() == (True,)
    with pytest.raises(psycopg.OperationalError):
        ConnectionPool.check_connection(pooled)


def test_a_connection_with_news_of_the_server_is_asked(pooled):
    pooled.execute("LISTEN news")
    with PooledConnection.connect(**django_connection.get_connection_params(), autocommit=True) as other:
        other.execute("NOTIFY news")
    assert select.select([pooled], [], [], 10)[0]  # the server sends it when it comes to it
    ConnectionPool.check_connection(pooled)
    assert asked_last(pooled.info.backend_pid) == ""


def test_a_closed_connection_fails_its_check(pooled):
    pooled.close()
    with pytest.raises(psycopg.OperationalError):
        ConnectionPool.check_connection(pooled)
