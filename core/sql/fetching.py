"""Running composed statements."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from core.sql.attribution import AttributedServerCursor
from core.sql.composition import Sql
from core.sql.cursors import MOST_ROWS, CursorsOfThread

cursors = CursorsOfThread()
Rewriting = Callable[[Sql], Sql]
_rewriting: ContextVar[Rewriting | None] = ContextVar("rewriting", default=None)


@contextmanager
def rewriting(rewrite: Rewriting | None) -> Iterator[None]:
    """Fetch the rows of what `rewrite` makes of each statement, meanwhile."""
    token = _rewriting.set(rewrite)
    try:
        yield
    finally:
        _rewriting.reset(token)


LARGE_RESULT = 4_194_304  # bytes


def release_large_result(size: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Give up what a result of so many bytes leaves behind, if it is large.

    A cursor keeps the rows that it fetched last, and libpq never shrinks the buffer that it read them into:
    the connection is closed when the request ends, unless it is in a transaction.
    """
    if size > LARGE_RESULT:
        cursors.by_text.clear()
        connections[using].close_at = time.monotonic()


def execute(statement: Sql) -> int:
    """Run one statement and return how many rows it wrote."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(statement.sql, statement.params)
        return cursor.rowcount


def fetch_rows(
    statement: Sql, *, using: str = DEFAULT_DB_ALIAS, prepared: bool = False
) -> list[tuple[Any, ...]]:
    """Run one statement and return all its rows.

    With `prepared`, a web worker's connection prepares the statement once it has sent the same text a few
    times, and PostgreSQL keeps one plan for all parameters: planning our statements takes as long as running
    them. Use it for frequent statements whose best plan does not depend on the parameters, so not for
    searches or long lists of ids. Parameters are sent apart from the text, and PostgreSQL must be able to
    infer their types from it. tests/bench/test_plans.py checks these plans.
    """
    connection = connections[using]
    if (rewrite := _rewriting.get()) is not None:
        statement, prepared = rewrite(statement), False
    if not prepared:
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.params)
            return cursor.fetchall()
    if connection.connection is None:
        connection.ensure_connection()
    if connection.queries_logged or connection.execute_wrappers:  # somebody listens, and knows only %s
        plain: Any = AttributedServerCursor(connection.connection)
        watched = (
            connection.make_debug_cursor(plain)
            if connection.queries_logged
            else connection.make_cursor(plain)
        )
        with connection.wrap_database_errors:
            watched.execute(statement.sql, statement.params)
            return watched.fetchall()
    connection.validate_no_broken_transaction()
    own, text = cursors.cursor_for(connection.connection, statement.sql)
    with connection.wrap_database_errors:
        own.execute(text, statement.params)
        rows = own.fetchall()
    if len(rows) > MOST_ROWS:
        cursors.forget(statement.sql)
    return rows
