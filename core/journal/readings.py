"""What /metrics tells of the journal."""

from collections.abc import Iterator
from datetime import UTC, datetime

from django.db import connection

from core.journal.partitions import DEFAULT, NAME, months_from, partitions
from core.observation.metrics import Reading, register_readings
from core.sql.composition import identifier, sql
from core.sql.fetching import fetch_rows

# A change becomes visible when its transaction commits; later ones may have been read before it.
LAG = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
"""


def read_journal(at: datetime) -> Iterator[Reading]:
    [[lag]] = fetch_rows(sql(LAG))
    yield Reading.single(
        "journal_lag_seconds",
        "Age of the oldest open transaction that writes: changes of since then may still become visible.",
        max(float(lag), 0.0),
    )
    with connection.cursor() as cursor:
        there = partitions(cursor)
    ahead = 0
    for month in months_from(at.astimezone(UTC), 24)[1:]:
        if NAME.format(month) not in there:
            break
        ahead += 1
    yield Reading.single("journal_months_ahead", "Months of the journal that are made ahead of time.", ahead)
    [[is_used]] = fetch_rows(sql("SELECT EXISTS (SELECT FROM {table})", table=identifier(DEFAULT)))
    yield Reading.single(
        "journal_default_partition_used", "1 while changes lie in a month that has no partition.", is_used
    )


register_readings("journal", read_journal)
