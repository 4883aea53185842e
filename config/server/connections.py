"""The connections of a web worker: each thread keeps its own from request to request.

To fetch one from a pool and to give it back costs as much as a tenth of a small answer, and a worker has a
fixed number of threads anyway.
"""

import threading
import weakref

import psycopg
from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.db import DEFAULT_DB_ALIAS, close_old_connections, connections, reset_queries
from django.db.backends.signals import connection_created

from config.server.postgres.base import DatabaseWrapper

_thread = threading.local()


class _Kept:
    """A connection that a thread keeps; it goes with the thread's own data."""

    def __init__(self, wrapper: DatabaseWrapper) -> None:
        self.wrapper = wrapper


def look_after_connections() -> None:
    """Have each thread keep its connection where the settings say so; else Django closes it.

    Django's own receivers ask all connections and caches of a thread in turn, at both ends of every request.
    One look at the one connection takes their place (`close_unusable_connection`, called by the handler):
    there is no cache, nobody reads a list of statements without DEBUG, and no request has URLs of its own.
    """
    if connections[DEFAULT_DB_ALIAS].settings_dict["CONN_MAX_AGE"] == 0:
        return
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    if not settings.DEBUG:
        request_started.disconnect(reset_queries)
    request_finished.disconnect(close_caches)
    request_finished.disconnect(reset_urlconf)
    connection_created.connect(close_with_thread)


def close_unusable_connection() -> None:
    """Before a request begins, close the thread's connection if it is of no more use."""
    if kept := getattr(_thread, DEFAULT_DB_ALIAS, None):
        close_if_unusable(kept.wrapper)


def close_if_unusable(wrapper: DatabaseWrapper) -> None:
    """Close an idle connection that is too old, has failed, or was ended by the server.

    Nothing is sent to find that out, which would cost every request a round trip to the server. A server that
    has been made read-only says so by itself.
    """
    if wrapper.connection is None or wrapper.in_atomic_block:
        return
    wrapper.close_if_unusable_or_obsolete()
    if wrapper.connection is not None and (
        has_ended(wrapper.connection) or (has_become_read_only(wrapper.connection) and wrapper.needs_primary)
    ):
        wrapper.close()


def has_ended(connection: psycopg.Connection[object]) -> bool:
    """Say whether an idle connection is closed; what the server said before it went is read first.

    Python's own ways to look at a socket would let another thread go first, and wait for it.
    """
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.OperationalError:
        return True
    return False


def has_become_read_only(connection: psycopg.Connection[object]) -> bool:
    """Say whether the server has reported that it only reads; PostgreSQL before 14 reports nothing."""
    status = connection.pgconn.parameter_status
    return status(b"in_hot_standby") == b"on" or status(b"default_transaction_read_only") == b"on"


def close_with_thread(connection: DatabaseWrapper, **signal: object) -> None:
    """Have the new connection that a thread keeps closed when the thread ends.

    Django's wrapper is garbage by then, which a quiet worker may not look for in a long time.
    """
    if connection is connections[connection.alias]:  # not one that was opened beside it
        kept = _Kept(connection)
        weakref.finalize(kept, connection.connection.close)
        setattr(_thread, connection.alias, kept)
