from django.db import migrations

INDEXES = ('customer_words', 'legal_entity_words')


class Migration(migrations.Migration):
    """Builds the indexes of words anew, beside reads and writes: what is a word has changed."""

    atomic = False

    dependencies = [
        ('accounts', '0014_customers_on_hold'),
        ('core', '0003_unseen_characters'),
    ]

    operations = [
        migrations.RunSQL(
            [
                step
                for index in INDEXES
                for step in (
                    f'DROP INDEX CONCURRENTLY IF EXISTS {index}_ccnew',  # of an attempt that was stopped
                    f'REINDEX INDEX CONCURRENTLY {index}',
                )
            ],
            migrations.RunSQL.noop,
        )
    ]
