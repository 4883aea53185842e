"""What the journal records of segments, their customers and items, and what else the same triggers do.

They raise the revisions (docs/caching.md) of what shoppers are shown.
"""

from dataclasses import replace

from core.journal.declarations import (
    RecordedAssignments,
    RecordedDocument,
    record,
    recorded_as,
)
from core.revisions.counting import counting, counting_where, formerly
from segments.models import CustomerAssignment, ItemAssignment, Segment
from segments.revisions import ITEMS, SITES

OF_SEGMENT = counting(key="id")
WITH_ID = counting_where("it.external_id IS DISTINCT FROM was.external_id", ITEMS)

record(
    RecordedDocument(
        model=Segment,
        object="segment",
        follow={**OF_SEGMENT, "UPDATE": OF_SEGMENT["UPDATE"] + WITH_ID},
        replaces=formerly("INSERT", "UPDATE", "DELETE"),
    ),
    RecordedAssignments(
        model=ItemAssignment,
        object="segment-item",
        owner="segment_id",
        owner_table="segments_segment",
        members={"segment-product": "product_id", "segment-category": "category_id"},
        follow=counting(ITEMS, key="segment_id"),
        replaces=formerly("INSERT", "UPDATE", "DELETE"),
    ),
    RecordedAssignments(
        model=CustomerAssignment,
        object="segment-customer",
        owner="segment_id",
        owner_table="segments_segment",
        members={"segment-customer": "customer_id"},
        legal_entity="legal_entity_id",
        refusals={
            "the customer is no contact of the legal entity any more": (
                "change.legal_entity_id IS NOT NULL AND NOT EXISTS (SELECT FROM accounts_contactassignment"
                " AS contact WHERE contact.tenant_id = change.tenant_id AND contact.customer_id = member.key"
                " AND contact.legal_entity_id = change.legal_entity_id)"
            )
        },
    ),
    replace(recorded_as("site"), follow=counting(SITES, events=["UPDATE"]), replaces=formerly("UPDATE")),
)
