from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from core.journal.declarations import recorded
from core.journal.installation import install_triggers

TALLY = """
CREATE FUNCTION tally(of_tenant bigint, of_kind text, of_key bigint, number bigint) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF number = 0 THEN
        RETURN;
    END IF;
    -- any part that no other transaction holds, so that writers never wait for each other
    UPDATE segments_tally SET count = count + number WHERE id = (
        SELECT id FROM segments_tally WHERE tenant_id = of_tenant AND key = of_key AND kind = of_kind
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    );
    IF NOT FOUND THEN
        INSERT INTO segments_tally (tenant_id, kind, key, count) VALUES (of_tenant, of_kind, of_key, number);
    END IF;
END
$$
"""
# Nobody writes between the counting and the first trigger that counts on.
LOCK = "LOCK TABLE segments_segment, segments_customerassignment, segments_itemassignment, accounts_customer" \
    " IN SHARE ROW EXCLUSIVE MODE"
COUNT = """
INSERT INTO segments_tally (tenant_id, kind, key, count)
SELECT tenant_id, kind, key, count FROM (
    SELECT tenant_id, segment_id AS key, count(*) AS members, count(legal_entity_id) AS company_members,
        0::bigint AS products, 0::bigint AS categories, 0::bigint AS customers
    FROM segments_customerassignment GROUP BY tenant_id, segment_id
    UNION ALL
    SELECT tenant_id, segment_id, 0, 0, count(product_id), count(category_id), 0
    FROM segments_itemassignment GROUP BY tenant_id, segment_id
    UNION ALL
    SELECT tenant_id, tenant_id, 0, 0, 0, 0, count(*) FROM accounts_customer GROUP BY tenant_id
) AS held CROSS JOIN LATERAL (VALUES
    ('members', members), ('company_members', company_members), ('products', products),
    ('categories', categories), ('customers', customers)
) AS part (kind, count)
WHERE count > 0 ORDER BY tenant_id, key, kind
"""
COUNTED = {"segments.Segment", "segments.CustomerAssignment", "segments.ItemAssignment", "accounts.Customer"}


def count_on(apps: Any, schema_editor: Any) -> None:
    """Count all rows, and from then on by the triggers of the journal, which `migrate` keeps up to date."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(LOCK)
        install_triggers(one for one in recorded() if one.model._meta.label in COUNTED)
        cursor.execute(COUNT)


class Migration(migrations.Migration):
    """Exact counts of members, items and customers, kept by triggers."""

    dependencies = [
        ("accounts", "0009_staff_groups"),
        ("journal", "0002_lookup_indexes"),
        ("revisions", "0001_initial"),
        ("segments", "0006_rules"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("members", "Members"),
                            ("company_members", "Company Members"),
                            ("products", "Products"),
                            ("categories", "Categories"),
                            ("customers", "Customers"),
                        ],
                        max_length=15,
                    ),
                ),
                ("key", models.BigIntegerField()),
                ("count", models.BigIntegerField(default=0)),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [models.Index(fields=["tenant", "key", "kind"], name="tally_of_key")],
            },
        ),
        migrations.RunSQL(TALLY, "DROP FUNCTION tally(bigint, text, bigint, bigint)"),
        migrations.RunPython(count_on, migrations.RunPython.noop, elidable=False),
    ]
