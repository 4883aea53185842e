"""What the journal records of segments, their customers and items, and what else the same triggers do.

They raise the revisions (docs/caching.md) of what shoppers are shown, keep exact counts
(segments/tallies.py), and note who is due for judgement by rules (segments/rules/triggers.py).
Declarations of packages below are taken and added to.
"""

from dataclasses import replace

from core.journal.declarations import (
    RecordedAssignments,
    RecordedDocument,
    following,
    leave_out,
    record,
    recorded_as,
    together,
)
from core.revisions.counting import counting, counting_where, formerly
from segments import tallies
from segments.models import CustomerAssignment, ItemAssignment, Rule, RuleExclusion, Segment
from segments.revisions import ITEMS, SITES
from segments.rules import triggers

EXTERNAL_ID_OF_SEGMENT = (
    "(SELECT owner.external_id FROM segments_segment AS owner WHERE owner.id = it.segment_id)"
)
PERMISSIONS_FOR_RULES = ("segments.change_segment", "accounts.view_customer")
"""A rule says something of customers, as the page "Who belongs" does."""
WITH_ID = counting_where("it.external_id IS DISTINCT FROM was.external_id", ITEMS)

record(
    RecordedDocument(
        model=Segment,
        object="segment",
        follow=together(counting(key="id"), {"UPDATE": WITH_ID}, tallies.OF_SEGMENTS, triggers.OF_SEGMENTS),
        replaces=formerly("INSERT", "UPDATE", "DELETE"),
    ),
    RecordedAssignments(
        model=ItemAssignment,
        object="segment-item",
        owner="segment_id",
        owner_table="segments_segment",
        members={"segment-product": "product_id", "segment-category": "category_id"},
        follow=together(counting(ITEMS, key="segment_id"), tallies.OF_ITEMS),
        replaces=formerly("INSERT", "UPDATE", "DELETE"),
    ),
    RecordedAssignments(
        model=CustomerAssignment,
        object="segment-customer",
        owner="segment_id",
        owner_table="segments_segment",
        members={"segment-customer": "customer_id"},
        legal_entity="legal_entity_id",
        follow=together(tallies.OF_MEMBERS, triggers.OF_MEMBERS),
        refusals={
            "the customer is no contact of the legal entity any more": (
                "change.legal_entity_id IS NOT NULL AND NOT EXISTS ("
                "SELECT FROM accounts_contactassignment AS contact"
                " WHERE contact.tenant_id = change.tenant_id AND contact.customer_id = member.key"
                " AND contact.legal_entity_id = change.legal_entity_id)"
            )
        },
    ),
    RecordedDocument(
        model=Rule,
        object="segment-rule",
        external_id=EXTERNAL_ID_OF_SEGMENT,
        owner="it.segment_id",
        shown_with="segment",
        permissions=PERMISSIONS_FOR_RULES,
        outcomes=("evaluated_at", "added", "removed"),
        ignores_derived=True,  # with each change of a segment, and of a member
        derived=(
            "watched",
            "used_segments",
            "state",
            "message",
            "members",
            "milliseconds",
            "judged_until",
            "next_due_at",
            "due_at",
            "evaluation",
            "drift",
        ),
    ),
    RecordedDocument(
        model=RuleExclusion,
        object="segment-rule-exclusion",
        external_id=EXTERNAL_ID_OF_SEGMENT,
        owner="it.segment_id",
        shown_with="segment",
        permissions=PERMISSIONS_FOR_RULES,
        follow=triggers.OF_EXCLUSIONS,
    ),
    replace(
        following(recorded_as("site"), counting(SITES, events=["UPDATE"]), triggers.OF_SITES),
        replaces=formerly("UPDATE"),
    ),
    following(recorded_as("tenant"), triggers.OF_TENANTS),
    following(recorded_as("customer"), tallies.OF_CUSTOMERS, triggers.OF_CUSTOMERS),
    following(recorded_as("contact-assignment"), triggers.OF_CONTACTS),
    following(recorded_as("legal-entity"), triggers.OF_LEGAL_ENTITIES),
)
leave_out(
    {
        "segments.SegmentSet": "what the key of a set of segments means, for half an hour",
        "segments.Tally": "counts what other changes follow from",
        "segments.DueCustomer": "a queue of what other changes follow into",
        "segments.RuleDelta": "what an evaluation is about to write, which is recorded when it does",
    }
)
