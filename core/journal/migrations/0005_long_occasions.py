from typing import Any

from django.db import migrations

PARTITIONS = """
SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
WHERE inhparent = 'journal_change'::regclass ORDER BY 1
"""


def expect_long_occasions(apps: Any, schema_editor: Any) -> None:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(PARTITIONS)
        for (name,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {name} ALTER COLUMN source_id SET (n_distinct = 500)")
            cursor.execute(f"ANALYZE {name} (source_id)")


class Migration(migrations.Migration):
    """Statistics by which the newest changes of an import are read from the index, and none is sorted."""

    dependencies = [("journal", "0004_changes_of_source")]

    operations = [migrations.RunPython(expect_long_occasions, migrations.RunPython.noop)]
