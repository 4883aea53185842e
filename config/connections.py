"""The connections of a web worker's pool."""

import select
from typing import Any

import psycopg
from psycopg.abc import Params


class PooledConnection(psycopg.Connection[Any]):
    """A connection that knows without asking the server whether the server has hung up.

    The pool checks a connection before it hands it out, by an empty statement. That would cost every
    request a journey to the server. A server that ends a connection says so at once, or its system does:
    then there is something to read, and only then is the statement sent.
    """

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> psycopg.Cursor[Any]:
        if query == "" and not self.closed and not self.has_heard_something():
            return self.cursor()
        return super().execute(query, params, **options)

    def has_heard_something(self) -> bool:
        """Say whether bytes of the server, or the end of the connection, wait to be read."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))
