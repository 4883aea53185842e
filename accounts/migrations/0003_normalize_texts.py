"""Puts stored names and e-mails into NFC, as they are written from now on.

An e-mail that would become another customer's is left as it is and named in the log, for a person to decide.
"""

import logging

from django.db import migrations

logger = logging.getLogger(__name__)

NAMES = {
    "accounts_customer": ("title", "first_name", "middle_name", "last_name", "company"),
    "accounts_legalentity": ("name",),
    "accounts_site": ("name",),
}
NORMALIZE_EMAILS = """
UPDATE accounts_customer AS customer SET email = normalize(email, NFC)
WHERE email IS NOT NFC NORMALIZED AND NOT EXISTS (
    SELECT FROM accounts_customer AS other WHERE other.tenant_id = customer.tenant_id
    AND other.id <> customer.id AND other.email IS NOT NULL
    AND lower(normalize(other.email, NFC)) = lower(normalize(customer.email, NFC))
)
"""
LEFT = """
SELECT tenant.name, customer.external_id, customer.email FROM accounts_customer AS customer
JOIN tenancy_tenant AS tenant ON tenant.id = customer.tenant_id
WHERE customer.email IS NOT NFC NORMALIZED ORDER BY customer.id
"""


def normalize_texts(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for table, columns in NAMES.items():
            changes = ", ".join(f"{column} = normalize({column}, NFC)" for column in columns)
            differs = " OR ".join(f"{column} IS NOT NFC NORMALIZED" for column in columns)
            cursor.execute(f"UPDATE {table} SET {changes} WHERE {differs}")
        cursor.execute(NORMALIZE_EMAILS)
        cursor.execute(LEFT)
        for tenant, number, email in cursor.fetchall():
            logger.warning(
                "The e-mail %r of customer %s of %s is another customer's in other code points; change one.",
                email,
                number,
                tenant,
            )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_customer_preferences")]

    operations = [migrations.RunPython(normalize_texts, migrations.RunPython.noop)]
