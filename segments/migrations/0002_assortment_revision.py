from django.db import migrations

COUNT = """
CREATE FUNCTION count_assortment_revision(changed_tenant bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    counted text := coalesce(nullif(current_setting('segments.revised_tenants', true), ''), ',');
BEGIN
    -- Once a transaction is enough. The setting is local to it, and undone with a savepoint that is rolled back.
    IF strpos(counted, ',' || changed_tenant || ',') > 0 THEN
        RETURN;
    END IF;
    UPDATE segments_assortmentrevision SET count = count + 1 WHERE id = (
        SELECT id FROM segments_assortmentrevision WHERE tenant_id = changed_tenant
        ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
    );
    IF NOT FOUND THEN
        INSERT INTO segments_assortmentrevision (tenant_id, count) VALUES (changed_tenant, 1);
    END IF;
    PERFORM set_config('segments.revised_tenants', counted || changed_tenant || ',', true);
END
$$;

CREATE FUNCTION revise_assortment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_assortment_revision(tenant_id) FROM (SELECT DISTINCT tenant_id FROM changed) AS tenants;
    RETURN NULL;
END
$$;

CREATE FUNCTION revise_assortment_of_shown_products() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM count_assortment_revision(tenant_id) FROM (
        SELECT DISTINCT changed.tenant_id FROM changed JOIN before USING (id)
        WHERE (changed.external_id, changed.code, changed.name)
            IS DISTINCT FROM (before.external_id, before.code, before.name)
    ) AS tenants;
    RETURN NULL;
END
$$;
"""
DROP = """
DROP FUNCTION revise_assortment_of_shown_products();
DROP FUNCTION revise_assortment();
DROP FUNCTION count_assortment_revision(bigint);
"""

CHANGES = {"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"}
# What shoppers are shown, and the writes that can change it. A product is shown through its assignments alone,
# so a new one shows nothing yet, and a deleted one takes its assignments with it.
WATCHED = {
    "segments_segment": CHANGES,
    "segments_itemassignment": CHANGES,
    "catalog_category": CHANGES,
    "catalog_categorynumber": CHANGES,
    "accounts_site": {"UPDATE": "NEW"},
}
CREATE_TRIGGERS = [
    f"CREATE TRIGGER revise_assortment_on_{change.lower()} AFTER {change} ON {table}"
    f" REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION revise_assortment()"
    for table, changes in WATCHED.items()
    for change, rows in changes.items()
] + [
    "CREATE TRIGGER revise_assortment_on_update AFTER UPDATE ON catalog_product"
    " REFERENCING OLD TABLE AS before NEW TABLE AS changed"
    " FOR EACH STATEMENT EXECUTE FUNCTION revise_assortment_of_shown_products()"
]
DROP_TRIGGERS = [
    f"DROP TRIGGER revise_assortment_on_{change.lower()} ON {table}"
    for table, changes in {**WATCHED, "catalog_product": {"UPDATE": "NEW"}}.items()
    for change in changes
]

# The next instant at which a category's window opens or closes is one look into each of these.
CREATE_INDEXES = [
    f"CREATE INDEX category_window_{name} ON catalog_category (tenant_id, {column}) WHERE {column} IS NOT NULL"
    for name, column in (("opens", "valid_from"), ("closes", "valid_to"))
]
DROP_INDEXES = ["DROP INDEX category_window_opens", "DROP INDEX category_window_closes"]


class Migration(migrations.Migration):
    """The revision of what shoppers may be shown, counted by triggers whichever entry point writes."""

    dependencies = [
        ("accounts", "0001_initial"),
        ("catalog", "0001_initial"),
        ("segments", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(COUNT, DROP),
        migrations.RunSQL(CREATE_TRIGGERS, DROP_TRIGGERS),
        migrations.RunSQL(CREATE_INDEXES, DROP_INDEXES),
    ]
