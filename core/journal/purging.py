"""Forgetting the oldest months of the journal."""

from datetime import datetime

from django.db import connection, transaction

from core.journal.models import Beginning
from core.journal.partitions import DEFAULT, LOCK_TIMEOUT, NAME, months_from, partitions
from core.journal.settling import settle_all


def purge(before: datetime) -> list[str]:
    """Drop the months that ended before this instant; return their names.

    The journal then begins with the oldest month that is left, unless it began later. Each month is dropped
    by itself. Raises OperationalError when a lock is not free soon enough.
    """
    limit = months_from(before, 1)[0]
    settle_all()
    with connection.cursor() as cursor:
        known = partitions(cursor)
    too_old = [name for name in known if name != DEFAULT and name < NAME.format(limit)]
    for name in too_old:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            cursor.execute(f"DROP TABLE {name}")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {DEFAULT} WHERE at < %s", [limit])
        Beginning.objects.filter(at__lt=limit).update(at=limit)
    return too_old
