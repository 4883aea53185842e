"""What the columns of segments hold, and how a customer is erased and exported there."""

from core.json_types import JsonObject
from core.personal_data.customers import (
    CustomerTrace,
    Eraser,
    Exporter,
    exported,
    register_eraser,
    register_exporter,
)
from core.personal_data.declarations import ERASE, KEEP, declare, each
from core.sql.composition import param, sql
from core.sql.fetching import execute
from segments.models import (
    CustomerAssignment,
    ItemAssignment,
    Rule,
    RuleExclusion,
    Segment,
    SegmentSet,
    Tally,
)

SEGMENT = KEEP("describes a segment, not its members")

declare(Segment, each(SEGMENT, "mixins", "mixin_schemas", "external_id", "name", "description", "status"))
declare(ItemAssignment, each(SEGMENT, "mixins", "mixin_schemas"))
declare(
    CustomerAssignment,
    {**each(ERASE, "mixins", "mixin_schemas"), "assignment_type": KEEP("one of a few words")},
)
declare(
    Rule,
    {
        "q": KEEP("says who belongs; naming single people there is what members by hand are for"),
        **each(KEEP("names in the code"), "mode", "membership", "state", "watched"),
        "used_segments": KEEP("ids of segments"),
        "message": KEEP("names a term of the rule, not its customers"),
    },
)
declare(
    RuleExclusion,
    each(KEEP("a member of staff, an API client or a command"), "actor_type", "actor_id"),
)

declare(Tally, {"kind": KEEP("one of a few words")})
declare(SegmentSet, each(KEEP("names segments, and nobody who is in them"), "key", "site_code"))


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Delete the customer's assignments, in the order of their keys."""
    deleted = execute(
        sql(
            "DELETE FROM segments_customerassignment WHERE id IN (SELECT id FROM segments_customerassignment"
            " WHERE tenant_id = {tenant} AND customer_id = {customer} ORDER BY id FOR UPDATE)",
            tenant=param(trace.tenant_id),
            customer=param(trace.customer_id),
        )
    )
    return {"segmentAssignments": deleted}


def export(trace: CustomerTrace) -> JsonObject:
    columns = {
        "segmentId": "segment.external_id",
        "legalEntityId": "entity.external_id",
        "validFrom": "assignment.valid_from",
        "validTo": "assignment.valid_to",
        "mixins": "assignment.mixins",
        "createdAt": "assignment.created_at",
        "modifiedAt": "assignment.modified_at",
    }
    assignments = sql(
        "FROM segments_customerassignment AS assignment"
        " JOIN segments_segment AS segment ON segment.id = assignment.segment_id"
        " LEFT JOIN accounts_legalentity AS entity ON entity.id = assignment.legal_entity_id"
        " WHERE assignment.tenant_id = {tenant} AND assignment.customer_id = {customer}"
        " ORDER BY segment.external_id, entity.external_id",
        tenant=param(trace.tenant_id),
        customer=param(trace.customer_id),
    )
    return {"segmentAssignments": exported(columns, assignments, documents=["mixins"])}


register_eraser(Eraser("segments", erase))
register_exporter(Exporter("segments", export))
