"""Transactions of other databases of the server hide no change, whenever they begin and end."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection, transaction

from core.sql.composition import Sql, sql
from core.sql.fetching import execute, fetch_rows
from events.feed.running import oldest_running, transactions_elsewhere


@pytest.fixture
def elsewhere() -> Iterator[psycopg.Connection]:
    """A connection to another database of the same server."""
    connection.ensure_connection()
    with psycopg.connect(**{**connection.get_connection_params(), "dbname": "postgres"}) as other:
        yield other


def begin(session: psycopg.Connection) -> int:
    """Begin a transaction; return its id."""
    [xid] = session.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    return xid


def commit_here() -> int:
    """Commit a transaction in this database; return its id."""
    with transaction.atomic():
        [[xid]] = fetch_rows(Sql("SELECT pg_current_xact_id()::text::bigint"))
    return xid


def oldest(known: Sql) -> int:
    [[xid]] = fetch_rows(sql("SELECT ({oldest})::text::bigint", oldest=oldest_running(known)))
    return xid


def take_snapshot() -> None:
    """Let all statements of this transaction see what is running now."""
    execute(Sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    fetch_rows(Sql("SELECT pg_current_snapshot()::text"))


def test_one_that_ends_between_the_snapshot_and_its_use(elsewhere):
    running = begin(elsewhere)
    known = transactions_elsewhere()
    commit_here()  # so that a snapshot names who began before and still runs
    with transaction.atomic():
        take_snapshot()
        elsewhere.rollback()
        assert oldest(known) != running
        assert oldest(transactions_elsewhere()) <= running  # why the list is read before


def test_one_that_begins_behind_the_list_holds_up_only_what_is_committed_later(elsewhere):
    known = transactions_elsewhere()
    committed = commit_here()
    running = begin(elsewhere)
    assert committed < running < commit_here()
    assert oldest(known) <= running
    assert oldest(transactions_elsewhere()) != running


def test_one_of_this_database_counts(elsewhere):
    begin(elsewhere)
    with psycopg.connect(**connection.get_connection_params()) as here:
        running = begin(here)
        commit_here()
        assert oldest(transactions_elsewhere()) <= running
