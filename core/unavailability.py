"""Which errors of the database mean that the same request may succeed when it is sent again."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, InternalError, OperationalError, connection
from psycopg import errors as postgres

from core.errors import Busy, Unavailable

logger = logging.getLogger(__name__)

CONTENTION = (postgres.LockNotAvailable, postgres.DeadlockDetected, postgres.SerializationFailure)
"""Lock timeout (55P03), deadlock (40P01) and serialization failure (40001)."""


def unavailable_from(error: Exception) -> Unavailable | None:
    """Return the message to a client for a database error that a later attempt may not meet; None for others.

    The transaction of the failed statement must have ended. A connection whose server is read-only
    (25006) is closed: after a failover the next request must reach the new primary.
    """
    if not isinstance(error, OperationalError | InternalError):
        return None
    cause = error.__cause__
    if isinstance(cause, CONTENTION):
        return Busy()
    if isinstance(cause, postgres.QueryCanceled):
        return Unavailable("This took too long and was stopped; nothing was changed. Try again in a moment.")
    if isinstance(cause, postgres.ReadOnlySqlTransaction):
        logger.error("The database is read-only.", exc_info=error)
        if connection.in_atomic_block:
            connection.close_at = time.monotonic()  # when the next request begins
        else:
            connection.close()
        return Unavailable(
            "The database accepts no changes at the moment; nothing was changed. Try again.", retry_after=5
        )
    if isinstance(error, InternalError):
        return None
    if isinstance(cause, postgres.DiskFull):
        logger.error("The disk of the database is full: %s", " ".join(str(error).split()))
        return Unavailable(
            "The database has no room for changes at the moment; nothing was changed. Try again later.",
            retry_after=30,
        )
    logger.error("The database refused a request.", exc_info=error)
    return Unavailable("The database is not available at the moment; try again.", retry_after=5)


def failure_in_words(error: Exception) -> str:
    """Return the message to an operator of a command for a failed statement, and what to do."""
    text = " ".join(str(error).split())
    match error.__cause__:
        case cause if isinstance(cause, CONTENTION):
            return (
                f"Somebody else holds what this needs and did not let go of it in time ({text})."
                " What was not committed is rolled back. Run it again later; DATABASE_COMMAND_LOCK_TIMEOUT_MS"
                " says how long it waits."
            )
        case postgres.ReadOnlySqlTransaction():
            return (
                f"The database accepts no changes ({text}). Nothing that was not committed is kept. Run it"
                " again when the server accepts writes, or let DATABASE_URL name the one that does."
            )
        case postgres.QueryCanceled():
            return f"The database ended a statement ({text}). What was not committed is rolled back."
        case postgres.DiskFull():
            return (
                f"The disk of the database is full ({text}). What was not committed is rolled back. Free"
                " space, then run it again."
            )
    return f"The database server cannot be reached: {text}"


def is_failure_of_server(error: Exception) -> bool:
    """Say whether the database, not the command, is the reason of an error."""
    if isinstance(error, InternalError):
        return isinstance(error.__cause__, postgres.ReadOnlySqlTransaction)
    return isinstance(error, OperationalError | InterfaceError)


@contextmanager
def contention_as_refusal() -> Iterator[None]:
    """Raise Unavailable for a lock wait, deadlock, timeout or read-only server met inside.

    For whoever shows a DomainError to a person: put it around the whole transaction. A lost connection
    still rises as OperationalError, since the page could not be shown again either.
    """
    try:
        yield
    except (OperationalError, InternalError) as error:
        expected = (*CONTENTION, postgres.QueryCanceled, postgres.ReadOnlySqlTransaction)
        if isinstance(error.__cause__, expected) and (unavailable := unavailable_from(error)):
            raise unavailable from error
        raise
