"""The parts of the journal: its months, made ahead of time, and recent changes.

A change whose month has no partition is stored in the default partition, so that no write ever fails for want
of one. When the month's partition is made later, the changes move into it. What one request writes comes to
RECENT first, a partition with hardly an index (core/journal/settling.py).
"""

from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

MONTHS_AHEAD = 3
LOCK_TIMEOUT = "2s"  # who reads the journal holds the default partition, and all who come later would wait
JOURNAL = "journal_change"
RECENT = "journal_change_recent"
SETTLED = "journal_change_settled"  # all months
PARTITIONS = f"""
SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = '{SETTLED}'::regclass ORDER BY 1
"""
NAME = "journal_change_{:%Y_%m}"
DEFAULT = "journal_change_default"
OCCASIONS = 500  # of a month, as the planner is to assume


def months_from(at: datetime, count: int) -> list[datetime]:
    """Return the beginnings of so many months, the one of `at` first."""
    first = at.astimezone(UTC).year * 12 + at.astimezone(UTC).month - 1
    return [datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(first, first + count)]


def make_partitions(at: datetime, *, months_ahead: int = MONTHS_AHEAD) -> list[str]:
    """Make the partitions of this month and the next ones that are missing; return their names.

    Each is made and filled by itself and then attached, which blocks no writer. Raises OperationalError when
    the lock of the default partition is not free soon enough; a later run makes what is missing.
    """
    months = months_from(at, months_ahead + 2)
    made = []
    for start, end in zip(months, months[1:], strict=False):
        name = NAME.format(start)
        with transaction.atomic(), connection.cursor() as cursor:
            if name not in partitions(cursor):
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_TIMEOUT])
                _make_partition(cursor, name, start, end)
                made.append(name)
    return made


def partitions(cursor: CursorWrapper) -> list[str]:
    """Return the names of all months' partitions, in their order; the default one last."""
    cursor.execute(PARTITIONS)
    return [name for (name,) in cursor.fetchall()]


def _make_partition(cursor: CursorWrapper, name: str, start: datetime, end: datetime) -> None:
    bounds = {"start": start, "end": end}
    cursor.execute(f"CREATE TABLE {name} (LIKE {SETTLED} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    cursor.execute(
        f"WITH moved AS (DELETE FROM {DEFAULT} WHERE at >= %(start)s AND at < %(end)s RETURNING *)"
        f" INSERT INTO {name} SELECT * FROM moved",
        bounds,
    )
    expect_long_occasions(cursor, name)
    cursor.execute(
        f"ALTER TABLE {SETTLED} ATTACH PARTITION {name} FOR VALUES FROM (%(start)s) TO (%(end)s)", bounds
    )


def expect_long_occasions(cursor: CursorWrapper, partition: str) -> None:
    """Have the planner expect many changes of each occasion.

    Nearly all occasions are requests of one change. By their number it expects one of each, so it would sort
    the hundred thousand changes of an import in place of reading the newest from the index.
    """
    cursor.execute(f"ALTER TABLE {partition} ALTER COLUMN source_id SET (n_distinct = {OCCASIONS})")
