"""How triggers raise revisions, and how statements read them.

Subjects are numbers: a segment is its key, and packages name negative ones for what else changes.
"""

from collections.abc import Mapping, Sequence

from core.revisions.models import Revision
from core.sql.composition import Sql, composed_once, identifier, integer, sql

TABLE = identifier(Revision._meta.db_table)
ROWS = {"INSERT": ["changed"], "UPDATE": ["before", "changed"], "DELETE": ["before"]}
# Where the trigger knows that all rows are of one tenant (`least_tenant`), as those of a request, a row is
# raised at once, in half of the time that the function for all cases takes.
OF_ONE_TENANT = """    IF least_tenant = greatest_tenant AND pg_trigger_depth() = 1 THEN
{each}    ELSE
{all}    END IF;
"""
RAISE = f"""        UPDATE {TABLE.sql} SET count = count + 1, tx = pg_current_xact_id() WHERE id = (
            SELECT free.id FROM {TABLE.sql} AS free
            WHERE free.tenant_id = least_tenant AND free.subject = {{subject}}
            ORDER BY free.id LIMIT 1 FOR UPDATE SKIP LOCKED
        );
        IF NOT FOUND THEN
            INSERT INTO {TABLE.sql} (tenant_id, subject, count, tx)
            VALUES (least_tenant, {{subject}}, 1, pg_current_xact_id());
        END IF;
"""


def counting(*subjects: int, key: str = "", events: Sequence[str] = tuple(ROWS)) -> Mapping[str, str]:
    """Return what triggers of a table do after these events to raise the revisions of its rows' tenants.

    `subjects` are named ones; `key` is a column that holds a subject, of the rows before and after.
    """
    also = f"'{{{','.join(map(str, subjects))}}}'"
    statements = {}
    for event in events:
        tables = ROWS[event] if key else ROWS[event][-1:]  # a row never goes to another tenant
        rows = " UNION ".join(f"SELECT tenant_id, {key or 'NULL::bigint'} FROM {table}" for table in tables)
        of_all = f"""    PERFORM count_revisions(array_agg(it.tenant_id), array_agg(it.subject), {also})
    FROM (SELECT DISTINCT * FROM ({rows}) AS touched) AS it (tenant_id, subject);
"""
        each = "".join(RAISE.format(subject=subject) for subject in subjects)
        statements[event] = of_all if key else OF_ONE_TENANT.format(each=each, all=of_all)
    return statements


def counting_where(condition: str, *subjects: int) -> str:
    """Return as `counting` does for UPDATE, of rows that meet a condition on `was` and `it`."""
    also = f"'{{{','.join(map(str, subjects))}}}'"
    return f"""
    PERFORM count_revisions(array_agg(it.tenant_id), NULL, {also}) FROM (
        SELECT DISTINCT coalesce(it.tenant_id, was.tenant_id) AS tenant_id
        FROM before AS was FULL JOIN changed AS it USING (id) WHERE {condition}
    ) AS it;
"""


def formerly(*events: str) -> tuple[str, ...]:
    """Return the names of the triggers that raised a revision before the journal's did."""
    return tuple(f"revise_assortment_on_{event.lower()}" for event in events)


@composed_once
def revision_of(*subjects: int, tenant: Sql) -> Sql:
    """An expression of type `bigint`: the sum of the revisions of these subjects of one tenant."""
    return sql(
        "(SELECT coalesce(sum(revision.count), 0)::bigint FROM {table} AS revision"
        " WHERE revision.tenant_id = {tenant} AND revision.subject = ANY(ARRAY[{subjects}]::bigint[]))",
        table=TABLE,
        tenant=tenant,
        subjects=Sql.joined(", ", [integer(subject) for subject in subjects]),
    )
