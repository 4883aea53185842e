"""Advisory locks, in one place so that their numbers never meet.

Order of all locks, everywhere: tree, category, segment, coupon, usage; several rows of one table in key
order. See docs/locking.md.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

_unlocked: ContextVar[bool] = ContextVar("unlocked", default=False)


class Lock(IntEnum):
    """What an advisory lock protects. The number is the lock's first key in PostgreSQL."""

    CATEGORY_TREE = 1  # one tenant's category structure; second key: the tenant
    SIGNING_KEYS = 3  # the set of token signing keys
    DEMO_DATA = 4  # the demo data loader
    IMPORT_RUN = 5  # one run of an import, held by the process at work on it; second key: the run
    BACKGROUND_TASK = 6  # a background task, held by the worker at work on it; second key: its state
    BACKGROUND_JOB = 7  # a background job, held likewise; second key: the job
    REPLACEMENT = 8  # replacements by files, of one kind and tenant; second key: a hash of both
    RESERVATIONS = 9  # the reservations of one customer; second key: a hash of the tenant and the number
    RULES = 10  # judging by the rules of a tenant; second key: the tenant
    RULE = 11  # the evaluation of one rule; second key: the rule
    PARTITIONING = 12  # the partitioning of memberships, held by the session of the command
    SETTLING = 13  # recent changes of the journal; shared by all who keep them where they are


PROTECTED = {
    Lock.CATEGORY_TREE: "the category tree",
    Lock.SIGNING_KEYS: "the signing keys",
    Lock.DEMO_DATA: "the demo data",
    Lock.IMPORT_RUN: "the import",
    Lock.BACKGROUND_TASK: "the background task",
    Lock.BACKGROUND_JOB: "the background job",
    Lock.REPLACEMENT: "the rows that a file replaces",
    Lock.RESERVATIONS: "the customer's reservations",
    Lock.RULES: "the members by rule",
    Lock.RULE: "the members of the segment by rule",
    Lock.PARTITIONING: "the table of memberships",
    Lock.SETTLING: "the journal's recent changes",
}

EXCLUSIVE = "SELECT pg_advisory_xact_lock(%s, %s)"
SHARED = "SELECT pg_advisory_xact_lock_shared(%s, %s)"


def take_lock(lock: Lock, key: int = 0, *, is_shared: bool = False) -> None:
    """Wait for the lock and hold it until the transaction ends, with others if it is shared.

    Refuses to run outside a transaction.

    Raises OperationalError, naming what somebody else is changing, when the lock timeout ends the wait.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(f"The lock {lock.name} needs a transaction.")
    if _unlocked.get():
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute(SHARED if is_shared else EXCLUSIVE, [int(lock), key])
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            text = f"lock timeout while somebody else was changing {PROTECTED[lock]}"
            raise OperationalError(text) from error.__cause__
        raise


def try_lock(lock: Lock, key: int = 0) -> bool:
    """Take the lock until the transaction ends, if nobody has it; say whether it was taken."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(f"The lock {lock.name} needs a transaction.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [int(lock), key])
        [is_taken] = cursor.fetchone()
    return is_taken


@contextmanager
def unlocked() -> Iterator[None]:
    """Let `take_lock` take nothing, while all rows that are written are private to this session."""
    token = _unlocked.set(True)
    try:
        yield
    finally:
        _unlocked.reset(token)
