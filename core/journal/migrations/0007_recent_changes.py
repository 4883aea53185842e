from datetime import UTC, datetime
from typing import Any

from django.db import migrations, transaction

from core.journal.settling import settle_all
from core.sql.locks import Lock, take_lock

COLUMN = """
ALTER TABLE journal_change ADD COLUMN IF NOT EXISTS is_settled boolean NOT NULL DEFAULT true
"""
IS_DIVIDED = "SELECT to_regclass('journal_change_recent') IS NOT NULL"
IS_CHECKED = "SELECT FROM pg_constraint WHERE conrelid = 'journal_change'::regclass AND conname = 'all_settled'"
CHECK = "ALTER TABLE journal_change ADD CONSTRAINT all_settled CHECK (is_settled) NOT VALID"
VALIDATE = "ALTER TABLE journal_change VALIDATE CONSTRAINT all_settled"
DIVIDE = """
ALTER TABLE journal_change RENAME TO journal_change_settled;
CREATE TABLE journal_change (LIKE journal_change_settled INCLUDING DEFAULTS) PARTITION BY LIST (is_settled);
ALTER TABLE journal_change ATTACH PARTITION journal_change_settled FOR VALUES IN (true);
ALTER TABLE journal_change_settled DROP CONSTRAINT all_settled;
CREATE TABLE journal_change_recent (LIKE journal_change INCLUDING DEFAULTS)
    WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE journal_change_recent ALTER COLUMN is_settled SET DEFAULT false;
CREATE INDEX journal_recent_of_object ON journal_change_recent (tenant_id, object, key, id);
CREATE INDEX journal_recent_of_block ON journal_change_recent USING gin (journal_blocks(keys))
    WITH (gin_pending_list_limit = 512) WHERE keys IS NOT NULL;
ALTER TABLE journal_change ATTACH PARTITION journal_change_recent FOR VALUES IN (false);
"""
UNITE = """
ALTER TABLE journal_change DETACH PARTITION journal_change_settled;
DROP TABLE journal_change;
ALTER TABLE journal_change_settled DROP COLUMN is_settled;
ALTER TABLE journal_change_settled RENAME TO journal_change;
"""


def divide(apps: Any, schema_editor: Any) -> None:
    """Add the level above the months; can be run again after it was interrupted.

    All rows are looked at before the table is locked, so that writers wait for an instant only.
    """
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(IS_DIVIDED)
        if cursor.fetchone() == (True,):
            return
        cursor.execute(COLUMN)
        cursor.execute(IS_CHECKED)
        if cursor.fetchone() is None:
            cursor.execute(CHECK)
        cursor.execute(VALIDATE)
        with transaction.atomic(schema_editor.connection.alias):
            cursor.execute(DIVIDE)


def unite(apps: Any, schema_editor: Any) -> None:
    """Settle what is recent, since coupon reports count it by where it lies; then take the level away."""
    with schema_editor.connection.cursor() as cursor, transaction.atomic(schema_editor.connection.alias):
        take_lock(Lock.SETTLING)
        cursor.execute("LOCK TABLE journal_change_recent")
        settle_all()
        cursor.execute(UNITE)


class Migration(migrations.Migration):
    """A table with hardly an index for the changes of a moment, as a partition beside that of all months.

    Whoever writes one document paid for ten indexes of the journal. The background worker moves the changes
    into their months. Triggers of the former release write to the months, by the name that both have in common.
    """

    atomic = False

    dependencies = [("journal", "0006_cheaper_rows")]

    operations = [migrations.RunPython(divide, unite)]
