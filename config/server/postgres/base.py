"""Django's PostgreSQL backend for a service that has to survive its database.

A connection of a web process has a deadline of its own for every statement: the server's `statement_timeout`
ends nothing while the server is frozen or unreachable. A management command waits until PostgreSQL is there.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from django.db.utils import OperationalError
from psycopg import pq
from psycopg.conninfo import make_conninfo

from config.server.postgres.schema import SchemaEditor
from core.sql.fetching import AttributedClientCursor, AttributedConnection

PAUSE = 0.5  # seconds between two attempts to connect
READ_ONLY = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
LIBPQ_PARAMETERS = frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())

logger = logging.getLogger(__name__)
Parameters = Mapping[str, Any]
"""How libpq, or psycopg, reaches a server."""


class DatabaseUnavailable(OperationalError):
    """No connection can be made. The message says where and why."""


class Cursor(AttributedClientCursor, base.Cursor):  # type: ignore[name-defined]
    """Django's cursor, whose writes bring along who acts."""


class _Driver:
    """psycopg as Django sees it, with our connections."""

    connect = staticmethod(AttributedConnection.connect)

    def __getattr__(self, name: str) -> object:
        return getattr(psycopg, name)


class DatabaseWrapper(base.DatabaseWrapper):
    """The backend. Beside Django's settings it knows two, both in seconds.

    `STATEMENT_DEADLINE`: see AttributedConnection. `CONNECTION_WAIT`: how long to wait for a server that is
    not there; then, or when the server refuses the connection, DatabaseUnavailable is raised.
    """

    Database = _Driver()
    SchemaEditorClass = SchemaEditor

    @property
    def needs_primary(self) -> bool:
        """Whether a server that only reads is of no use."""
        return self.settings_dict["OPTIONS"].get("target_session_attrs") in {"read-write", "primary"}

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self.connection.attributed = None  # what was set since the savepoint is undone

    def get_new_connection(self, conn_params: dict[str, object]) -> psycopg.Connection[object]:
        patience = self.settings_dict.get("CONNECTION_WAIT", 0)
        connection = self._wait_for_server(conn_params, patience) if patience else self._connect(conn_params)
        connection.statement_deadline = self.settings_dict.get("STATEMENT_DEADLINE")
        return connection

    def is_usable(self) -> bool:
        """Whether a connection that had an error still works; after a failover it may only read."""
        if not super().is_usable():
            return False
        return not (self.needs_primary and self.is_read_only())

    def is_read_only(self) -> bool:
        """Ask the server whether it refuses writes."""
        with self.cursor() as cursor:
            cursor.execute(READ_ONLY)
            return cursor.fetchone()[0]

    def _connect(self, conn_params: dict[str, object]) -> AttributedConnection:
        connection = super().get_new_connection(conn_params)
        connection.cursor_factory = Cursor
        return connection

    def _wait_for_server(self, conn_params: dict[str, object], patience: float) -> AttributedConnection:
        """Connect as soon as the server accepts connections; refusals are final."""
        deadline = time.monotonic() + patience
        where = " ".join(
            f"{name}={conn_params[name]}" for name in ("host", "port", "dbname") if conn_params.get(name)
        )
        is_told = False
        while True:
            try:
                return self._connect(conn_params)
            except psycopg.OperationalError as error:
                reason = " ".join(str(error).split())
            if ping(conn_params) in {pq.Ping.OK, pq.Ping.NO_ATTEMPT}:
                raise DatabaseUnavailable(f"PostgreSQL ({where}) refuses the connection: {reason}")
            if time.monotonic() > deadline:
                raise DatabaseUnavailable(
                    f"PostgreSQL ({where}) did not accept connections within {patience:g} s: {reason}"
                )
            if not is_told:
                logger.warning("Waiting up to %g s for PostgreSQL (%s).", patience, where)
                is_told = True
            time.sleep(PAUSE)


def ping(conn_params: Parameters) -> int:
    """Ask libpq whether the server accepts connections; that needs no password."""
    known = {name: value for name, value in conn_params.items() if name in LIBPQ_PARAMETERS - {"password"}}
    return pq.PGconn.ping(make_conninfo(**known).encode())
