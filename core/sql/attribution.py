"""Cursors and connections that tell PostgreSQL who acts, without a round trip of their own.

Triggers read the actor (core/actors.py) from the setting `app.actor`. It is local to a transaction and is set
with its BEGIN, in one message. A statement that writes outside a transaction, or after the actor has changed,
brings the setting along.
"""

import re
from collections.abc import Generator
from functools import lru_cache
from typing import Any, Self

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result
from psycopg.generators import execute as results_of

from core.actors import current_actor
from core.sql.statements import statements

WRITES = re.compile(r"\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE\s+INTO)\b", re.IGNORECASE)
SET_ACTOR = "SELECT pg_catalog.set_config('app.actor', %s, true)"


@lru_cache(maxsize=512)
def is_write(statement: str | bytes) -> bool:
    """Say whether a statement may write rows."""
    if isinstance(statement, bytes):
        statement = statement.decode()
    return statement[:6].upper() != "SELECT" and WRITES.search(statement) is not None


def wanted_setting() -> str:
    """Return what `app.actor` has to be for whoever acts now; empty for nobody."""
    actor = current_actor()
    return actor.setting if actor is not None else ""


class AttributedConnection(psycopg.Connection[Any]):
    """A connection whose transactions begin with the setting of the actor.

    `attributed` is what the present transaction has set; None when it is not known.
    """

    attributed: str | None = None

    def _start_query(self) -> Generator[Any, Any, None]:
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

    def setting_for(self, statement: Any) -> str | None:
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


def setting_for(connection: Any, statement: Any) -> str | None:
    """Return the setting that a statement has to bring along; None on a connection that knows of no actor."""
    return connection.setting_for(statement) if isinstance(connection, AttributedConnection) else None


class AttributedClientCursor(psycopg.ClientCursor[Any]):
    """A cursor that writes values into the statement: the setting comes before it, in the same message."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        connection: Any = self.connection
        setting = setting_for(connection, query)
        if setting is None:
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

    def execute(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        connection = self.connection
        setting = setting_for(connection, query)
        if setting is None:
            return super().execute(query, params, **options)  # type: ignore[misc]
        with connection.pipeline():  # up to its end it is one transaction
            psycopg.Cursor(connection).execute(SET_ACTOR, [setting], prepare=False)
            super().execute(query, params, **options)  # type: ignore[misc]
        connection.note_setting(setting)
        return self


class AttributedServerCursor(SettingFirst, psycopg.Cursor[Any]):
    """For statements with placeholders as %s."""

    __slots__ = ()


class AttributedRawCursor(SettingFirst, psycopg.RawCursor[Any]):
    """For statements with PostgreSQL's own placeholders, $1 and so on."""

    __slots__ = ()
