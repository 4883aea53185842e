from importlib import import_module

from django.db import migrations

# A request changes rows of one tenant and names few subjects. They are counted one by one: a statement for all
# of them, which imports need, takes as long as four of these.
FEW = """
CREATE OR REPLACE FUNCTION count_revisions(tenants bigint[], subjects bigint[], also bigint[] DEFAULT '{}')
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one bigint;
BEGIN
    IF tenants IS NULL THEN
        RETURN;
    END IF;
    IF cardinality(tenants) = 1 THEN
        FOREACH one IN ARRAY array_remove(also || subjects, NULL) LOOP
            CONTINUE WHEN pg_trigger_depth() > 1 AND EXISTS (
                SELECT FROM segments_assortmentrevision AS counted
                WHERE counted.tenant_id = tenants[1] AND counted.subject = one
                AND counted.tx = pg_current_xact_id() AND counted.xmin = pg_current_xact_id()::xid
            );
            UPDATE segments_assortmentrevision SET count = count + 1, tx = pg_current_xact_id()
            WHERE id = (
                SELECT free.id FROM segments_assortmentrevision AS free
                WHERE free.tenant_id = tenants[1] AND free.subject = one
                ORDER BY free.id LIMIT 1 FOR UPDATE SKIP LOCKED
            );
            CONTINUE WHEN FOUND;
            INSERT INTO segments_assortmentrevision (tenant_id, subject, count, tx)
            VALUES (tenants[1], one, 1, pg_current_xact_id());
        END LOOP;
        RETURN;
    END IF;
{many}
END
$$
"""
BEGINNING = "    WITH changed AS ("
FORMER = import_module("core.revisions.migrations.0001_initial").COUNT
MANY = FORMER[FORMER.index(BEGINNING) : FORMER.rindex("\nEND\n$$")]


class Migration(migrations.Migration):
    """Count the revisions of one tenant without the statement that counts those of many."""

    dependencies = [("revisions", "0001_initial")]

    operations = [
        migrations.RunSQL(
            FEW.replace("{many}", MANY), FORMER.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
        )
    ]
