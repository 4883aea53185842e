"""Advisory locks, in one place so that their numbers never meet.

Order of all locks, everywhere: tree, category, segment, coupon, usage; several rows of one table in key
order. See docs/locking.md.
"""

from enum import IntEnum

from django.db import connection, transaction


class Lock(IntEnum):
    """What an advisory lock protects. The number is the lock's first key in PostgreSQL."""

    CATEGORY_TREE = 1  # one tenant's category structure; second key: the tenant
    SIGNING_KEYS = 3  # the set of token signing keys
    DEMO_DATA = 4  # the demo data loader
    IMPORT_RUN = 5  # one run of an import, held by the process at work on it; second key: the run


def take_lock(lock: Lock, key: int = 0) -> None:
    """Wait for the lock and hold it until the transaction ends. Refuses to run outside one."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(f"The lock {lock.name} needs a transaction.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [int(lock), key])
