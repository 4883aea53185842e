"""How statements reach PostgreSQL: who acts goes along, and cursors are used again.

Triggers read the actor (core/actors.py) from the setting `app.actor`. It is local to a transaction and is set
with its BEGIN, in one message. A statement that writes outside a transaction, or after the actor has changed,
brings the setting along.

A cursor of psycopg that runs the same statement again knows already how to write its values and to read its
columns; to find that out takes it as long as all else that it does. Placeholders are numbered once as well.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import count
from typing import Any, Self

import orjson
import psycopg
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from psycopg import pq, waiting
from psycopg.abc import PQGen
from psycopg.errors import (
    _WaitTimeout,  # tests/config/test_postgres_backend.py notices when it is renamed
    error_from_result,
)
from psycopg.generators import execute as results_of

from core.actors import LONGEST_TEXT, Actor, claimed, process_actor
from core.sql.composition import Slot, Sql, SqlValues
from core.sql.replicas import has_failed, read_alias, read_from_primary
from core.sql.statements import statements

LARGE_RESULT = 4_194_304  # bytes
MOST_CURSORS = 64  # of one connection: as many statements as are sent all the time
MOST_ROWS = 200  # a cursor holds on to the rows that it fetched last
INTERVAL = 0.1  # seconds between two looks at the clock
WRITES = re.compile(r"\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\b", re.IGNORECASE)
SET_ACTOR = "SELECT pg_catalog.set_config('app.actor', %s, true)"


@lru_cache(maxsize=512)
def is_write(statement: str | bytes) -> bool:
    """Say whether a statement may write rows."""
    if isinstance(statement, bytes):
        statement = statement.decode()
    return statement[:6].upper() != "SELECT" and WRITES.search(statement) is not None


def wanted_setting() -> str:
    """Return the value of `app.actor` for the present actor; empty without one."""
    actor = claimed.get() or process_actor()
    return setting_of(actor) if actor is not None else ""


@lru_cache(maxsize=64)
def setting_of(actor: Actor) -> str:
    """Return the value of `app.actor` for an actor, as triggers read it."""
    texts = [actor.type, actor.id, actor.name, actor.source_type, actor.source_id]
    # PostgreSQL keeps no NUL in a text
    return orjson.dumps([text[:LONGEST_TEXT].replace("\x00", "") for text in texts]).decode()


class ServerSilent(psycopg.OperationalError):
    """The server did not answer a statement within the deadline; the connection is closed."""


class AttributedConnection(psycopg.Connection):
    """A connection whose transactions begin with the setting of the actor.

    `attributed` is what the present transaction has set; None when it is not known. Statements end after
    `statement_deadline` seconds, whatever the server does.
    """

    attributed: str | None = None
    statement_deadline: float | None = None

    def wait(self, gen: Any, *arguments: Any, **named: Any) -> Any:
        deadline = self.statement_deadline
        if deadline is None or arguments or named:
            return super().wait(gen, *arguments, **named)
        try:
            # as the class above does, but for Ctrl-C, which no thread of a worker gets
            return waiting.wait(gen, self.pgconn.socket, interval=INTERVAL, timeout=deadline)
        except _WaitTimeout:
            self.close()
            raise ServerSilent(f"PostgreSQL did not answer within {deadline:g} s.") from None

    def _start_query(self) -> PQGen[None]:
        statements.sent += 1
        if self._autocommit or self.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            return
        wanted = wanted_setting()
        if not wanted or self._pipeline:
            self.attributed = None if wanted else ""
            yield from super()._start_query()
            return
        begin = self._get_tx_start_command()
        self.pgconn.send_query(begin + b"; SET LOCAL app.actor = " + self.literal(wanted))
        for result in (yield from results_of(self.pgconn)):
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise error_from_result(result, encoding=self.pgconn._encoding)
        self.attributed = wanted

    def literal(self, text: str) -> bytes:
        """Return the text as a literal of SQL."""
        return pq.Escaping(self.pgconn).escape_literal(text.encode(self.pgconn._encoding))

    def setting_for(self, statement: object) -> str | None:
        """Return the setting that a statement has to bring along; None when it needs none."""
        if not isinstance(statement, str | bytes) or not is_write(statement):
            return None
        wanted = wanted_setting()
        if self._autocommit:
            return wanted or None
        if self.pgconn.transaction_status == pq.TransactionStatus.IDLE:
            return None  # BEGIN brings it
        return None if wanted == self.attributed else wanted

    def note_setting(self, setting: str) -> None:
        """Remember what the transaction has set, if there is one."""
        if not self._autocommit:
            self.attributed = setting


class AttributedClientCursor(psycopg.ClientCursor):
    """A cursor that writes values into the statement: the setting comes before it, in the same message."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        connection: object = self.connection
        if (
            not isinstance(connection, AttributedConnection)
            or (setting := connection.setting_for(query)) is None
        ):
            return super().execute(query, params, **options)
        literal = connection.literal(setting).decode(connection.pgconn._encoding)
        if params is not None:
            literal = literal.replace("%", "%%")
        super().execute(f"SET LOCAL app.actor = {literal}; {query}", params, **options)
        self.nextset()
        connection.note_setting(setting)
        return self


class SettingFirst:
    """Of cursors that send values apart: the setting is sent before the statement, in one pipeline."""

    __slots__ = ()

    def execute(self: Any, query: object, params: object = None, **options: object) -> Any:
        connection = self.connection
        if (
            not isinstance(connection, AttributedConnection)
            or (setting := connection.setting_for(query)) is None
        ):
            return super().execute(query, params, **options)  # type: ignore[misc]
        with connection.pipeline():  # up to its end it is one transaction
            psycopg.Cursor(connection).execute(SET_ACTOR, [setting], prepare=False)
            super().execute(query, params, **options)  # type: ignore[misc]
        connection.note_setting(setting)
        return self


class AttributedServerCursor(SettingFirst, psycopg.Cursor):
    """For statements with placeholders as %s."""

    __slots__ = ()


class AttributedRawCursor(SettingFirst, psycopg.RawCursor):
    """For statements with PostgreSQL's own placeholders, $1 and so on."""

    __slots__ = ()


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


def fetch_rows(statement: Sql, *, using: str = "", prepared: bool = False) -> list[SqlValues]:
    """Run one statement and return all its rows: on `using`, else where the reads of the request go.

    With `prepared`, a web worker's connection prepares the statement once it has sent the same text a few
    times, and PostgreSQL keeps one plan for all parameters: planning our statements takes as long as running
    them. Use it for frequent statements whose best plan does not depend on the parameters, so not for
    searches or long lists of ids. Parameters are sent apart from the text, and PostgreSQL must be able to
    infer their types from it. tests/bench/test_plans.py checks these plans.
    """
    return _fetch_where(statement.sql, statement.params, using, prepared=prepared)


class Statement:
    """A statement of `slots` that is composed once and then run with values by name.

    It is prepared, so what `fetch_rows` says of that holds for it.
    """

    def __init__(self, statement: Sql) -> None:
        if not all(isinstance(slot, Slot) for slot in statement.params):
            raise TypeError("A value is given when the statement is run: declare its slot with slots().")
        self.sql = statement.sql
        self.names = tuple([slot.name for slot in statement.params])

    def rows(self, **values: object) -> list[SqlValues]:
        """Run the statement with the values of its slots and return all its rows, as `fetch_rows` does.

        Values without a slot are left out: whether a statement asks for them is for its shape to say.
        """
        try:
            params = tuple([values[name] for name in self.names])
        except KeyError as missing:
            raise TypeError(f"The statement has a slot that nothing is given for: {missing}.") from None
        return _fetch_where(self.sql, params, "", prepared=True)


def _fetch_where(text: str, params: SqlValues, using: str, *, prepared: bool) -> list[SqlValues]:
    alias = using or read_alias()
    if alias == DEFAULT_DB_ALIAS or using:
        return _fetch(text, params, alias, prepared=prepared)
    try:
        return _fetch(text, params, alias, prepared=prepared)
    except OperationalError as error:
        if not has_failed(error):
            raise
        read_from_primary()
        return _fetch(text, params, DEFAULT_DB_ALIAS, prepared=prepared)


def _fetch(text: str, params: SqlValues, alias: str, *, prepared: bool) -> list[SqlValues]:
    connection = connections[alias]
    if (rewrite := _rewriting.get()) is not None:
        rewritten = rewrite(Sql(text, params))
        text, params, prepared = rewritten.sql, rewritten.params, False
    if not prepared:
        with connection.cursor() as cursor:
            cursor.execute(text, params)
            return cursor.fetchall()
    if connection.connection is None:
        connection.ensure_connection()
    if connection.queries_logged or connection.execute_wrappers:  # somebody listens, and knows only %s
        listened: Any = AttributedServerCursor(connection.connection)
        wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
        with connection.wrap_database_errors:
            listened = wrap(listened)
            listened.execute(text, params)
            return listened.fetchall()
    connection.validate_no_broken_transaction()
    own, numbered_text = cursors.cursor_for(connection.connection, text)
    with connection.wrap_database_errors:
        own.execute(numbered_text, params)
        rows = own.fetchall()
    if len(rows) > MOST_ROWS:
        cursors.forget(text)
    return rows
