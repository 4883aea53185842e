"""Puts stored codes, external numbers and names into NFC, as they are written from now on.

A code or number that would become another one's is left as it is and named in the log, for a person to decide.
"""

import logging

from django.db import migrations

logger = logging.getLogger(__name__)

# Table, column, what identifies a row to people, and the key that is unique in a tenant.
UNIQUE = (
    ("catalog_product", "code", "external_id", "normalize({row}.code, NFC)"),
    ("catalog_category", "code", "external_id", "lower(normalize({row}.code, NFC))"),
    ("catalog_categorynumber", "value", "category_id", "normalize({row}.value, NFC)"),
)
LOCALIZED = {
    "catalog_product": ("name", "description"),
    "catalog_category": ("name", "description", "slug"),
}
# An escape such as \n before a combining mark would not be one any more.
UNSAFE = r"\\[bfnrt][\u0300-\u036f]"


def normalize_unique(cursor, table, column, shown, key):
    own, others = key.format(row="stored"), key.format(row="other")
    cursor.execute(
        f"UPDATE {table} AS stored SET {column} = normalize({column}, NFC)"
        f" WHERE {column} IS NOT NFC NORMALIZED AND NOT EXISTS (SELECT FROM {table} AS other"
        f" WHERE other.tenant_id = stored.tenant_id AND other.id <> stored.id AND {others} = {own})"
    )
    cursor.execute(
        f"SELECT tenant.name, stored.{shown}, stored.{column} FROM {table} AS stored"
        " JOIN tenancy_tenant AS tenant ON tenant.id = stored.tenant_id"
        f" WHERE stored.{column} IS NOT NFC NORMALIZED ORDER BY stored.id"
    )
    for tenant, row, text in cursor.fetchall():
        logger.warning(
            "%s: the %s %r of %s in %s is another one's in other code points; change one.",
            table, column, text, row, tenant,
        )


def normalize_texts(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for table, column, shown, key in UNIQUE:
            normalize_unique(cursor, table, column, shown, key)
        for table, columns in LOCALIZED.items():
            for column in columns:
                cursor.execute(
                    f"UPDATE {table} SET {column} = normalize({column}::text, NFC)::jsonb"
                    f" WHERE {column}::text IS NOT NFC NORMALIZED AND {column}::text !~ '{UNSAFE}'"
                )
                if (table, column) == ("catalog_category", "name") and cursor.rowcount:
                    logger.warning(
                        "%s names of categories were put into NFC, so siblings may sort anew:"
                        " run manage.py check_category_tree --fix.",
                        cursor.rowcount,
                    )


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial"), ("tenancy", "0001_initial")]

    operations = [migrations.RunPython(normalize_texts, migrations.RunPython.noop)]
