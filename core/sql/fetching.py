"""Running composed statements, with cursors that are used again.

A cursor of psycopg that runs the same statement again knows already how to write its values and to read its
columns; to find that out takes it as long as all else that it does. Placeholders are numbered once as well.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

from core.sql.attribution import AttributedRawCursor, AttributedServerCursor
from core.sql.composition import Sql
from core.sql.replicas import has_failed, read_alias, read_from_primary

LARGE_RESULT = 4_194_304  # bytes
MOST_CURSORS = 64  # of one connection: as many statements as are sent all the time
MOST_ROWS = 200  # a cursor holds on to the rows that it fetched last


class CursorsOfThread(threading.local):
    """The cursors of the connection that this thread uses, by the text of their statement."""

    def __init__(self) -> None:
        self.connection: psycopg.Connection | None = None
        self.by_text: dict[str, tuple[psycopg.RawCursor, bytes]] = {}
        # those of connections that this thread used before: reads may go to a replica
        self.of_others: dict[psycopg.Connection, dict[str, tuple[psycopg.RawCursor, bytes]]] = {}

    def cursor_for(self, connection: psycopg.Connection, text: str) -> tuple[psycopg.RawCursor, bytes]:
        """Return the cursor for a statement, and the text to run: psycopg goes by that very object."""
        if connection is not self.connection:
            self._use(connection)
        if found := self.by_text.get(text):
            return found
        if len(self.by_text) == MOST_CURSORS:
            del self.by_text[next(iter(self.by_text))]
        found = self.by_text[text] = AttributedRawCursor(connection), numbered(text)
        return found

    def _use(self, connection: psycopg.Connection) -> None:
        if self.connection is not None:
            self.of_others[self.connection] = self.by_text
        self.by_text = self.of_others.pop(connection, {})
        self.of_others = {other: kept for other, kept in self.of_others.items() if not other.closed}
        self.connection = connection

    def forget(self, text: str) -> None:
        """Let go of the cursor for a statement, and of the rows that it fetched."""
        self.by_text.pop(text, None)


def numbered(text: str) -> bytes:
    """Return a statement with PostgreSQL's own placeholders ($1, $2) in place of %s, and % in place of %%."""
    numbers = count(1)
    return re.sub("%%|%s", lambda found: "%" if found[0] == "%%" else f"${next(numbers)}", text).encode()


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


def release_large_result(*, using: str = "") -> None:
    """Give up what a result of more than LARGE_RESULT leaves behind.

    A cursor keeps the rows that it fetched last, and libpq never shrinks the buffer that it read them into:
    the connection is closed when the request ends, unless it is in a transaction.
    """
    cursors.by_text.clear()
    connections[using or read_alias()].close_at = time.monotonic()


def execute(statement: Sql) -> int:
    """Run one statement and return how many rows it wrote."""
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(statement.sql, statement.params)
        return cursor.rowcount


def fetch_rows(statement: Sql, *, using: str = "", prepared: bool = False) -> list[tuple[Any, ...]]:
    """Run one statement and return all its rows: on `using`, else where the reads of the request go.

    With `prepared`, a web worker's connection prepares the statement once it has sent the same text a few
    times, and PostgreSQL keeps one plan for all parameters: planning our statements takes as long as running
    them. Use it for frequent statements whose best plan does not depend on the parameters, so not for
    searches or long lists of ids. Parameters are sent apart from the text, and PostgreSQL must be able to
    infer their types from it. tests/bench/test_plans.py checks these plans.
    """
    alias = using or read_alias()
    if alias == DEFAULT_DB_ALIAS or using:
        return _fetch(statement, alias, prepared=prepared)
    try:
        return _fetch(statement, alias, prepared=prepared)
    except OperationalError as error:
        if not has_failed(error):
            raise
        read_from_primary()
        return _fetch(statement, DEFAULT_DB_ALIAS, prepared=prepared)


def _fetch(statement: Sql, alias: str, *, prepared: bool) -> list[tuple[Any, ...]]:
    connection = connections[alias]
    if (rewrite := _rewriting.get()) is not None:
        statement, prepared = rewrite(statement), False
    if not prepared:
        with connection.cursor() as cursor:
            cursor.execute(statement.sql, statement.params)
            return cursor.fetchall()
    if connection.connection is None:
        connection.ensure_connection()
    if connection.queries_logged or connection.execute_wrappers:  # somebody listens, and knows only %s
        listened: Any = AttributedServerCursor(connection.connection)
        wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
        with connection.wrap_database_errors:
            listened = wrap(listened)
            listened.execute(statement.sql, statement.params)
            return listened.fetchall()
    connection.validate_no_broken_transaction()
    own, text = cursors.cursor_for(connection.connection, statement.sql)
    with connection.wrap_database_errors:
        own.execute(text, statement.params)
        rows = own.fetchall()
    if len(rows) > MOST_ROWS:
        cursors.forget(statement.sql)
    return rows
