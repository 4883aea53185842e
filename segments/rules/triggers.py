"""What the triggers of recorded tables do for rules: they note customers that are due for judgement.

A change notes a customer only when a LIVE rule of the tenant reads one of the columns that changed, so a
tenant without rules pays one look into an index for each statement. A write never waits here: rows are only
added to the queue, and no two writers add the same one.
"""

from collections.abc import Collection

from core.journal.declarations import Statements, if_stored

WATCHING = "rule.tenant_id = it.tenant_id AND rule.mode = 'LIVE'"
NOTE = "    INSERT INTO segments_duecustomer (tenant_id, customer_id"
IF_LIVE = """    IF EXISTS (
        SELECT FROM {rows} AS it JOIN segments_rule AS rule ON {watching}
    ) THEN
{statements}    END IF;
"""
BY_HAND = "    IF actor->>0 <> 'rule' THEN\n{statements}    END IF;\n"


def watched(table: str, column: str) -> str:
    """Return the name of a column in `Rule.watched`."""
    return f"{table}.{column}"


def if_live(rows: str, statements: str) -> str:
    """Return the statements under the condition that a tenant of the rows has LIVE rules.

    To look first is quicker than a statement that writes nothing: PostgreSQL prepares all that it would need.
    """
    return IF_LIVE.format(rows=rows, watching=WATCHING, statements=statements)


def on_columns(
    table: str, columns: Collection[str], *, customer: str = "it.id", joins: str = "", condition: str = "true"
) -> dict[str, str]:
    """Return the statement that notes the customers of rows of which a watched column changed."""
    changes = ", ".join(
        f"CASE WHEN it.{name} IS DISTINCT FROM was.{name} THEN '{watched(table, name)}' END"
        for name in columns
    )
    note = f"""{NOTE})
    SELECT it.tenant_id, {customer} FROM before AS was JOIN changed AS it USING (id){joins}
    WHERE {condition} AND EXISTS (SELECT FROM segments_rule AS rule WHERE {WATCHING}
        AND rule.watched && array_remove(ARRAY[{changes}], NULL));
"""
    return {"UPDATE": if_live("changed", note)}


def on_rows(table: str, *, events: Collection[str], customer: str = "it.customer_id") -> Statements:
    """Return the statements that note the customers of rows that came, went or changed in any way.

    A rule watches these as `<table>.*`.
    """
    statements = {}
    for event in events:
        sources = {"INSERT": ["changed"], "DELETE": ["before"], "UPDATE": ["changed", "before"]}[event]
        rows = " UNION ".join(
            f"SELECT tenant_id, {customer} AS customer_id FROM {source} AS it" for source in sources
        )
        statements[event] = if_live(sources[0], f"{note_customers(table, rows)};\n")
    return if_stored("segments_duecustomer", statements)


def note_customers(table: str, rows: str) -> str:
    """Return the statement that notes the customers of rows for rules that watch all of their table."""
    return f"""{NOTE})
    SELECT it.tenant_id, it.customer_id FROM ({rows}) AS it WHERE it.customer_id IS NOT NULL
        AND EXISTS (SELECT FROM segments_rule AS rule WHERE {WATCHING}
            AND '{watched(table, "*")}' = ANY(rule.watched))"""


def on_insert(customer: str = "it.id") -> dict[str, str]:
    """Return the statement that notes new customers, which every rule about customers judges."""
    note = f"""{NOTE})
    SELECT it.tenant_id, {customer} FROM changed AS it WHERE EXISTS (SELECT FROM segments_rule AS rule
        WHERE {WATCHING} AND rule.membership = 'CUSTOMER');
"""
    return {"INSERT": if_live("changed", note)}


def due_rules(source: str, condition: str) -> str:
    """Return the statement that has rules evaluated in full; it has the rows `it` and `rule`."""
    return f"""    UPDATE segments_rule SET due_at = instant
    WHERE due_at IS NULL AND (mode = 'LIVE' OR evaluated_at IS NULL) AND id IN (
        SELECT rule.id FROM {source} JOIN segments_rule AS rule ON {condition}
    );
"""


CHANGED_WINDOW = (
    "before AS was JOIN changed AS it USING (id)",
    "rule.tenant_id = it.tenant_id AND rule.segment_id = it.id"
    " AND (it.status, it.valid_from, it.valid_to, it.site_id)"
    " IS DISTINCT FROM (was.status, was.valid_from, was.valid_to, was.site_id)",
)
USES = "rule.tenant_id = it.tenant_id AND it.external_id = ANY(rule.used_segments)"
OF_SEGMENTS = {
    "INSERT": due_rules("changed AS it", USES),
    "UPDATE": due_rules(*CHANGED_WINDOW),
    "DELETE": due_rules("before AS it", USES),
}
"""A segment that is effective again is judged anew, and rules that name one that came or went."""

OF_TENANTS = {
    "UPDATE": due_rules(
        "before AS was JOIN changed AS it USING (id)",
        "rule.tenant_id = it.id AND it.currency IS DISTINCT FROM was.currency",
    )
}
OF_SITES = {
    "UPDATE": due_rules(
        "before AS was JOIN changed AS it USING (id) JOIN segments_segment AS segment"
        " ON segment.tenant_id = it.tenant_id AND segment.site_id = it.id",
        "rule.segment_id = segment.id AND it.home_base IS DISTINCT FROM was.home_base",
    )
}
"""`today` begins in the time zone of the segment's site."""


def on_members(rows: str) -> str:
    """Return the statement that notes customers who came into or went from segments that rules name."""
    return f"""    IF EXISTS (
        SELECT FROM segments_rule WHERE tenant_id BETWEEN least_tenant AND greatest_tenant AND mode = 'LIVE'
    ) THEN
    {NOTE}, rule_id)
        SELECT it.tenant_id, it.customer_id, rule.id FROM {rows} AS it
        JOIN segments_segment AS segment ON segment.tenant_id = it.tenant_id AND segment.id = it.segment_id
        JOIN segments_rule AS rule ON {WATCHING} AND segment.external_id = ANY(rule.used_segments);
    END IF;
"""


# A member who is added by hand is no exclusion any more. One who is taken out by hand is excluded: each
# AUTOMATIC one, and a MANUAL one unless a file or its undo took it out, when the rule is asked again.
SAME_MEMBER = (
    "{other}.tenant_id = it.tenant_id AND {other}.segment_id = it.segment_id"
    " AND {other}.customer_id = it.customer_id"
    " AND {other}.legal_entity_id IS NOT DISTINCT FROM it.legal_entity_id"
)
LIFT = f"""        IF EXISTS (
            SELECT FROM segments_ruleexclusion WHERE tenant_id BETWEEN least_tenant AND greatest_tenant
        ) THEN
            DELETE FROM segments_ruleexclusion AS exclusion USING changed AS it
            WHERE {SAME_MEMBER.format(other="exclusion")};
        END IF;
"""
RULE_OF_MEMBER = "segments_rule AS rule ON rule.tenant_id = it.tenant_id AND rule.segment_id = it.segment_id"
EXCLUDES = (
    "(it.assignment_type = 'AUTOMATIC' OR coalesce(actor->>3, '') NOT IN ('import', 'undo-import', 'undo'))"
)
STILL_THERE = """EXISTS (SELECT FROM segments_segment AS segment
            WHERE segment.tenant_id = it.tenant_id AND segment.id = it.segment_id)
        AND EXISTS (SELECT FROM accounts_customer AS customer
            WHERE customer.tenant_id = it.tenant_id AND customer.id = it.customer_id)
        AND (it.legal_entity_id IS NULL OR EXISTS (SELECT FROM accounts_legalentity AS entity
            WHERE entity.tenant_id = it.tenant_id AND entity.id = it.legal_entity_id))"""
EXCLUDE = f"""        INSERT INTO segments_ruleexclusion
            (tenant_id, segment_id, customer_id, legal_entity_id, actor_type, actor_id)
        SELECT it.tenant_id, it.segment_id, it.customer_id, it.legal_entity_id, actor->>0, actor->>1
        FROM before AS it JOIN {RULE_OF_MEMBER}
        WHERE {EXCLUDES} AND {STILL_THERE} ORDER BY it.segment_id, it.customer_id
        ON CONFLICT DO NOTHING;
        INSERT INTO segments_duecustomer (tenant_id, customer_id, rule_id)
        SELECT it.tenant_id, it.customer_id, rule.id
        FROM before AS it JOIN {RULE_OF_MEMBER} WHERE rule.mode = 'LIVE' AND NOT {EXCLUDES};
"""
OF_MEMBERS = {
    "INSERT": on_members("changed") + BY_HAND.format(statements=LIFT),
    "DELETE": on_members("before") + BY_HAND.format(statements=EXCLUDE),
}


def on_exclusions(rows: str) -> str:
    """Return the statement that has the rule judge customers whose exclusion began or ended."""
    return f"""{NOTE}, rule_id)
    SELECT it.tenant_id, it.customer_id, rule.id
    FROM {rows} AS it JOIN {RULE_OF_MEMBER} WHERE rule.mode = 'LIVE';
"""


OF_EXCLUSIONS = {"INSERT": on_exclusions("changed"), "DELETE": on_exclusions("before")}

CUSTOMER_COLUMNS = (
    "external_id",
    "email",
    "title",
    "first_name",
    "middle_name",
    "last_name",
    "contact_phone",
    "company",
    "company_registration_id",
    "preferred_language",
    "preferred_currency",
    "preferred_site",
    "type",
    "photo_url",
    "is_active",
    "is_on_hold",
    "last_login_at",
    "mixins",
    "mixin_schemas",
    "version",
    "created_at",
    "modified_at",
)
OF_CUSTOMERS = {**on_insert(), **on_columns("customer", CUSTOMER_COLUMNS)}
OF_CONTACTS = on_rows("contact", events=("INSERT", "UPDATE", "DELETE"))
LEGAL_ENTITY_COLUMNS = (
    "external_id",
    "name",
    "type",
    "parent_id",
    "legal_info",
    "account_limit",
    "customer_groups",
    "entities_addresses",
    "approval_group",
    "restrictions",
    "mixins",
    "mixin_schemas",
    "version",
    "created_at",
    "modified_at",
)
OF_LEGAL_ENTITIES = on_columns(
    "legal_entity",
    LEGAL_ENTITY_COLUMNS,
    customer="contact.customer_id",
    joins="\n    JOIN accounts_contactassignment AS contact"
    " ON contact.tenant_id = it.tenant_id AND contact.legal_entity_id = it.id",
)
