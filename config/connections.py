"""The connections of a web worker: each thread keeps its own from request to request.

To fetch one from a pool and to give it back costs as much as a tenth of a small answer, and a worker has a
fixed number of threads anyway.
"""

import select
import threading
import weakref
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

_thread = threading.local()


class _End:
    """Stands for the end of a thread: it goes when what the thread alone holds does."""


def close_ended_connection(**signal: Any) -> None:
    """Before a request begins, close the thread's connection if the server has: the request connects anew."""
    close_if_ended(connections[DEFAULT_DB_ALIAS])


def close_if_ended(wrapper: BaseDatabaseWrapper) -> None:
    """Close an idle connection that the server has ended, or told something.

    Nothing is sent to find that out, which would cost every request a journey to the server.
    """
    if wrapper.connection is not None and not wrapper.in_atomic_block and has_news(wrapper.connection):
        wrapper.close()


def has_news(connection: psycopg.Connection[Any]) -> bool:
    """Say whether an idle connection is closed, or has something to read: most often, its end."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def close_with_thread(connection: BaseDatabaseWrapper, **signal: Any) -> None:
    """Have the new connection that a thread keeps closed when the thread ends.

    Django's wrapper is garbage by then, which a quiet worker may not look for in a long time.
    """
    is_kept = connection.settings_dict["CONN_MAX_AGE"] != 0
    if is_kept and connection is connections[connection.alias]:  # not one that was opened beside it
        end = _End()
        weakref.finalize(end, connection.connection.close)
        setattr(_thread, connection.alias, end)
