"""What the journal records of segments, their customers and items, and what else the same triggers do.

They raise the assortment revision (docs/caching.md) for what shoppers are shown, and keep exact counts of
members, items and customers (segments/tallies.py). Only this package knows all tables of that, so it takes
the declarations of the packages below and adds to them.
"""

from dataclasses import replace

from catalog.journal import CATEGORY, CATEGORY_NUMBER, PRODUCT
from core.journal.declarations import (
    Recorded,
    RecordedAssignments,
    RecordedDocument,
    Statements,
    leave_out,
    record,
    recorded_as,
)
from segments.models import CustomerAssignment, ItemAssignment, Rule, RuleExclusion, Segment
from segments.rules import triggers

REVISE = """    PERFORM count_assortment_revision(tenant_id)
    FROM (SELECT DISTINCT tenant_id FROM {rows}) AS tenants;
"""
ALWAYS = {
    "INSERT": REVISE.format(rows="changed"),
    "UPDATE": REVISE.format(rows="changed"),
    "DELETE": REVISE.format(rows="before"),
}
WHERE_SHOWN = """    PERFORM count_assortment_revision(tenant_id) FROM (
        SELECT DISTINCT coalesce(it.tenant_id, was.tenant_id) AS tenant_id
        FROM before AS was FULL JOIN changed AS it USING (id)
        WHERE (it.external_id, it.code, it.name) IS DISTINCT FROM (was.external_id, was.code, was.name)
    ) AS tenants;
"""
EXTERNAL_ID_OF_SEGMENT = (
    "(SELECT owner.external_id FROM segments_segment AS owner WHERE owner.id = it.segment_id)"
)

TALLY = """    PERFORM {tallies} FROM (
        SELECT tenant_id, segment_id, {sums} FROM {rows} GROUP BY tenant_id, segment_id
    ) AS found{condition};
"""
# A segment that is deleted takes its tallies along, whether its members go before or after it.
IS_KEPT = " WHERE EXISTS (SELECT FROM segments_segment AS owner WHERE owner.id = found.segment_id)"
FORGET = """    DELETE FROM segments_tally AS tally USING before
    WHERE tally.tenant_id = before.tenant_id AND tally.key = before.id AND tally.kind <> 'customers';
"""
COUNT_CUSTOMERS = """    PERFORM tally(tenant_id, 'customers', tenant_id, {sign} number) FROM (
        SELECT tenant_id, count(*) AS number FROM {rows} GROUP BY tenant_id
    ) AS found;
"""


def tallying(**columns: str) -> dict[str, str]:
    """Return the statements that count rows by segment: for each kind those whose column is set."""
    tallies = ", ".join(f"tally(tenant_id, '{kind}', segment_id, {kind})" for kind in columns)
    listed = ", ".join(["tenant_id", "segment_id", *dict.fromkeys(columns.values())])
    rows = {
        "INSERT": f"(SELECT {listed}, 1 AS sign FROM changed) AS it",
        "DELETE": f"(SELECT {listed}, -1 AS sign FROM before) AS it",
        "UPDATE": f"(SELECT {listed}, 1 AS sign FROM changed"
        f" UNION ALL SELECT {listed}, -1 FROM before) AS it",
    }
    sums = ", ".join(
        f"coalesce(sum(sign) FILTER (WHERE {column} IS NOT NULL), 0) AS {kind}"
        for kind, column in columns.items()
    )
    return {
        event: TALLY.format(
            tallies=tallies, sums=sums, rows=source, condition="" if event == "INSERT" else IS_KEPT
        )
        for event, source in rows.items()
    }


def both(one: Statements, other: Statements) -> dict[str, str]:
    """Return the statements of both."""
    return {event: one.get(event, "") + other.get(event, "") for event in {**one, **other}}


MEMBERS = tallying(members="customer_id", company_members="legal_entity_id")
ITEMS = tallying(products="product_id", categories="category_id")
CUSTOMERS = {
    "INSERT": COUNT_CUSTOMERS.format(sign="", rows="changed"),
    "DELETE": COUNT_CUSTOMERS.format(sign="-", rows="before"),
}


def revising(declared: Recorded, statements: dict[str, str]) -> Recorded:
    """Return the declaration, whose triggers raise the revision as well."""
    names = tuple(f"revise_assortment_on_{event.lower()}" for event in statements)
    return replace(declared, follow=statements, replaces=names)


record(
    triggers.following(
        revising(RecordedDocument(model=Segment, object="segment"), both(ALWAYS, {"DELETE": FORGET})),
        triggers.OF_SEGMENTS,
    ),
    revising(
        RecordedAssignments(
            model=ItemAssignment,
            object="segment-item",
            owner="segment_id",
            owner_table="segments_segment",
            members={"segment-product": "product_id", "segment-category": "category_id"},
        ),
        both(ALWAYS, ITEMS),
    ),
    triggers.following(
        RecordedAssignments(
            model=CustomerAssignment,
            object="segment-customer",
            owner="segment_id",
            owner_table="segments_segment",
            members={"segment-customer": "customer_id"},
            legal_entity="legal_entity_id",
            follow=MEMBERS,
            refusals={
                "the customer is no contact of the legal entity any more": (
                    "change.legal_entity_id IS NOT NULL AND NOT EXISTS ("
                    "SELECT FROM accounts_contactassignment AS contact"
                    " WHERE contact.tenant_id = change.tenant_id AND contact.customer_id = member.key"
                    " AND contact.legal_entity_id = change.legal_entity_id)"
                )
            },
        ),
        triggers.OF_MEMBERS,
    ),
    RecordedDocument(
        model=Rule,
        object="segment-rule",
        external_id=EXTERNAL_ID_OF_SEGMENT,
        owner="it.segment_id",
        derived=(
            "watched",
            "used_segments",
            "state",
            "message",
            "members",
            "milliseconds",
            "evaluated_at",
            "judged_until",
            "next_due_at",
            "due_at",
            "evaluation",
            "drift",
        ),
    ),
    triggers.following(
        RecordedDocument(
            model=RuleExclusion,
            object="segment-rule-exclusion",
            external_id=EXTERNAL_ID_OF_SEGMENT,
            owner="it.segment_id",
        ),
        triggers.OF_EXCLUSIONS,
    ),
    revising(CATEGORY, ALWAYS),
    revising(CATEGORY_NUMBER, ALWAYS),
    revising(PRODUCT, {"UPDATE": WHERE_SHOWN}),
    triggers.following(revising(recorded_as("site"), {"UPDATE": ALWAYS["UPDATE"]}), triggers.OF_SITES),
    triggers.following(recorded_as("tenant"), triggers.OF_TENANTS),
    triggers.following(
        replace(recorded_as("customer"), follow=both(recorded_as("customer").follow, CUSTOMERS)),
        triggers.OF_CUSTOMERS,
    ),
    triggers.following(recorded_as("contact-assignment"), triggers.OF_CONTACTS),
    triggers.following(recorded_as("legal-entity"), triggers.OF_LEGAL_ENTITIES),
)
leave_out(
    {
        "segments.AssortmentRevision": "counts what other changes follow from",
        "segments.Tally": "counts what other changes follow from",
        "segments.DueCustomer": "a queue of what other changes follow into",
        "segments.RuleDelta": "what an evaluation is about to write, which is recorded when it does",
    }
)
