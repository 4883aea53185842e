from django.db import migrations


class Migration(migrations.Migration):
    """An index for readers of one tenant's changes in the order of commits (events/feed/reader.py)."""

    dependencies = [("journal", "0002_lookup_indexes")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX journal_of_commit ON journal_change (tenant_id, tx, id)",
            "DROP INDEX journal_of_commit",
        )
    ]
