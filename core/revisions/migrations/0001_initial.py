import django.db.models.deletion
from django.db import migrations, models

COLUMNS = """
ALTER TABLE segments_assortmentrevision
    ADD COLUMN subject bigint DEFAULT 0 NOT NULL,
    ADD COLUMN tx xid8
"""
COLUMNS_BACK = "ALTER TABLE segments_assortmentrevision DROP COLUMN subject, DROP COLUMN tx"
INDEX = "CREATE INDEX revision_of_subject ON segments_assortmentrevision (tenant_id, subject)"
INDEX_BACK = "DROP INDEX revision_of_subject"

# `also` are subjects of every tenant that is named. Cascades run a statement for each row that goes, and count
# once a transaction: a row that this transaction has counted in says so by `tx`. It says so by `xmin` as well,
# as `tx` alone means something else after the data has moved to another server, and `xmin` alone after four
# thousand million transactions. A savepoint that is rolled back takes its count back with all else.
COUNT = """
CREATE FUNCTION count_revisions(tenants bigint[], subjects bigint[], also bigint[] DEFAULT '{}')
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF tenants IS NULL THEN
        RETURN;
    END IF;
    WITH changed AS (
        SELECT * FROM unnest(tenants, subjects) AS one (tenant_id, subject) WHERE subject IS NOT NULL
        UNION SELECT * FROM unnest(tenants) AS tenant (id), unnest(also) AS named (subject)
    ), due AS (
        SELECT * FROM changed WHERE pg_trigger_depth() = 1 OR NOT EXISTS (
            SELECT FROM segments_assortmentrevision AS counted
            WHERE counted.tenant_id = changed.tenant_id AND counted.subject = changed.subject
            AND counted.tx = pg_current_xact_id() AND counted.xmin = pg_current_xact_id()::xid
        )
    ), place AS MATERIALIZED (
        SELECT due.tenant_id, due.subject, (
            SELECT free.id FROM segments_assortmentrevision AS free
            WHERE free.tenant_id = due.tenant_id AND free.subject = due.subject
            ORDER BY free.id LIMIT 1 FOR UPDATE SKIP LOCKED
        ) AS id FROM due
    ), raised AS (
        UPDATE segments_assortmentrevision AS free SET count = free.count + 1, tx = pg_current_xact_id()
        FROM place WHERE free.id = place.id
    )
    INSERT INTO segments_assortmentrevision (tenant_id, subject, count, tx)
    SELECT tenant_id, subject, 1, pg_current_xact_id() FROM place WHERE id IS NULL;
END
$$
"""
COUNT_BACK = "DROP FUNCTION count_revisions(bigint[], bigint[], bigint[])"


class Migration(migrations.Migration):
    """Give the revisions a subject each: a segment, the tree and others, no longer all of a tenant.

    The table keeps its name, and the function that counted before stays: workers and triggers of the former
    release use both until they are replaced. What they read, the sum of a tenant, still grows with every
    change.
    """

    initial = True

    dependencies = [
        ("segments", "0005_mixins_sent_empty"),
        ("tenancy", "0001_initial"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(COLUMNS, COLUMNS_BACK),
                migrations.RunSQL(INDEX, INDEX_BACK),
                migrations.RunSQL(COUNT, COUNT_BACK),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="Revision",
                    fields=[
                        (
                            "id",
                            models.BigAutoField(
                                auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                            ),
                        ),
                        ("subject", models.BigIntegerField(db_default=0)),
                        ("count", models.BigIntegerField(default=0)),
                        (
                            "tenant",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.CASCADE,
                                related_name="+",
                                to="tenancy.tenant",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "segments_assortmentrevision",
                        "indexes": [
                            models.Index(fields=["tenant", "subject"], name="revision_of_subject")
                        ],
                    },
                ),
            ],
        ),
    ]
