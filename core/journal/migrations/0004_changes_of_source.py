from typing import Any

from django.db import migrations

INDEX = "journal_of_occasion"
COLUMNS = "(tenant_id, source_id, at, id)"
PARTITIONS_WITHOUT = """
SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'journal_change'::regclass AND NOT EXISTS (
    SELECT FROM pg_index JOIN pg_inherits AS attached ON attached.inhrelid = indexrelid
    WHERE indrelid = child.oid AND attached.inhparent = %s::regclass
) ORDER BY 1
"""


def create_index(apps: Any, schema_editor: Any) -> None:
    """Index each partition beside writes, then attach its index; can be run again after it was interrupted."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX IF NOT EXISTS {INDEX} ON ONLY journal_change {COLUMNS}")
        cursor.execute(PARTITIONS_WITHOUT, [INDEX])
        for (partition,) in cursor.fetchall():
            name = f"{partition}_occasion"
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # that was not finished
            cursor.execute(f"CREATE INDEX CONCURRENTLY {name} ON {partition} {COLUMNS}")
            cursor.execute(f"ALTER INDEX {INDEX} ATTACH PARTITION {name}")


def drop_index(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX IF EXISTS {INDEX}")


class Migration(migrations.Migration):
    """An index of the changes of one request or import, newest first.

    PostgreSQL builds no index of a partitioned table beside writes, so each partition gets its own. Those
    that are made meanwhile or later get it from the table.
    """

    atomic = False

    dependencies = [("journal", "0003_order_of_commits")]

    operations = [migrations.RunPython(create_index, drop_index)]
