from django.db import migrations

# An escape such as \n before a combining mark would not be one any more.
NORMALIZE = r"""
UPDATE segments_segment SET {column} = normalize({column}::text, NFC)::jsonb
WHERE {column}::text IS NOT NFC NORMALIZED AND {column}::text !~ '\\[bfnrt][\u0300-\u036f]'
"""


class Migration(migrations.Migration):
    """Puts the names and descriptions of segments into NFC, as they are written from now on."""

    dependencies = [("segments", "0003_mixins_may_be_absent")]

    operations = [
        migrations.RunSQL(NORMALIZE.format(column=column), migrations.RunSQL.noop)
        for column in ("name", "description")
    ]
