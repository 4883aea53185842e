from django.db import migrations

INDEXES = ('product_words', 'category_words')


class Migration(migrations.Migration):
    """Builds the indexes of words anew, beside reads and writes: what is a word has changed."""

    atomic = False

    dependencies = [
        ('catalog', '0004_mixins_sent_empty'),
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
