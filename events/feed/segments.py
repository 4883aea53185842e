"""Events of segments, their customers and their items, as the published service has them."""

from core.journal.declarations import RecordedAssignments, RecordedDocument, recorded_as
from core.representation.fields import Field, Json, Localized, Nested, Text
from core.sql.composition import Sql, identifier, sql
from events.feed.sources import EventSource, register_event_source
from events.feed.states import assignment_after, document_after, known_id, members, rewriting
from segments.representations import metadata, validity

SERVICE = "customer-segment"
WRITTEN = ("created", "updated")
TENANT = Text("change.tenant")

# Segments

SEGMENT: dict[str, Field] = {
    "id": Text("segment.external_id"),
    "name": Localized("segment.name", omit_empty=False),
    "description": Localized("segment.description"),
    "siteCode": Text(known_id("site.code", noun="site", key="segment.site_id")),
    "status": Text("segment.status"),
    "validity": validity("segment"),
    "metadata": metadata("segment"),
    "tenant": TENANT,
}
SEGMENT_PAYLOADS: dict[str, dict[str, Field]] = {
    f"{SERVICE}.segment-created": SEGMENT,
    f"{SERVICE}.segment-updated": {
        **SEGMENT,
        "mixins": Json("segment.mixins", omit_empty=False),
        "previousStatus": Text("coalesce(change.before ->> 'status', segment.status)"),
    },
    f"{SERVICE}.segment-deleted": {"id": Text("segment.external_id"), "tenant": TENANT},
}
segment = recorded_as("segment")
assert isinstance(segment, RecordedDocument)
register_event_source(
    EventSource(
        objects=("segment",),
        kinds={kind: f"{SERVICE}.segment-{kind}" for kind in ("created", "updated", "deleted")},
        payloads=SEGMENT_PAYLOADS,
        tables=sql(
            "change{document} LEFT JOIN accounts_site AS site"
            " ON site.tenant_id = change.tenant_id AND site.id = segment.site_id",
            document=document_after(segment, "segment"),
        ),
        order_key=Sql("'segment ' || segment.external_id"),
    )
)

# What an assignment has besides what it assigns

SEGMENT_ID = known_id("change.external_id", noun="segment", key="change.key")
OF_SEGMENT = sql("'segment ' || {id}", id=SEGMENT_ID)
ASSIGNMENT = {
    "mixins": Json("assignment.mixins", omit_empty=False),
    "metadata": metadata("assignment"),
    "tenant": TENANT,
}
MEMBER = Sql("member.key")

# Customers

CUSTOMER_ID = known_id("customer.external_id", noun="customer", key="member.key")
ENTITY_ID = known_id("legal_entity.external_id", noun="legal-entity", key="change.legal_entity_id")
CUSTOMER_ASSIGNMENT = {
    "assignmentType": Text("assignment.assignment_type"),
    "customer": Nested(
        {
            "id": Text(CUSTOMER_ID),
            "firstName": Text("customer.first_name", omit_empty=True),
            "lastName": Text("customer.last_name", omit_empty=True),
            "email": Text("customer.email"),
        }
    ),
    "legalEntity": Nested({"id": Text(ENTITY_ID), "name": Text("legal_entity.name")}),
    "segmentId": Text(SEGMENT_ID),
    **ASSIGNMENT,
}
CUSTOMER_TABLES = (
    " LEFT JOIN accounts_customer AS customer"
    " ON customer.tenant_id = change.tenant_id AND customer.id = member.key"
    " LEFT JOIN accounts_legalentity AS legal_entity"
    " ON legal_entity.tenant_id = change.tenant_id AND legal_entity.id = change.legal_entity_id"
)
customer_deleted = {
    "segmentId": Text(SEGMENT_ID),
    "customerId": Text(CUSTOMER_ID),
    "legalEntityId": Text(ENTITY_ID),
    "tenant": TENANT,
}
customers = recorded_as("segment-customer")
assert isinstance(customers, RecordedAssignments)
register_event_source(
    EventSource(
        objects=("segment-customer",),
        kinds={kind: f"{SERVICE}.customer-assignment-{kind}" for kind in WRITTEN},
        payloads={f"{SERVICE}.customer-assignment-{kind}": CUSTOMER_ASSIGNMENT for kind in WRITTEN},
        tables=sql(
            "change{rewriting}{members}{assignment}{shown}",
            rewriting=rewriting(),
            members=members(),
            assignment=assignment_after(customers, "segment-customer", "assignment"),
            shown=Sql(CUSTOMER_TABLES),
        ),
        order_key=OF_SEGMENT,
        number=MEMBER,
        customer=CUSTOMER_ID,
    )
)
register_event_source(
    EventSource(
        objects=("segment-customer",),
        kinds={"deleted": f"{SERVICE}.customer-assignment-deleted"},
        payloads={f"{SERVICE}.customer-assignment-deleted": customer_deleted},
        tables=sql("change{members}{shown}", members=members(), shown=Sql(CUSTOMER_TABLES)),
        order_key=OF_SEGMENT,
        number=MEMBER,
        customer=CUSTOMER_ID,
    )
)

# Items: one source for each kind of item, as each is looked up in a table of its own

TYPE = Text("upper(replace(change.object, 'segment-', ''))")
ITEM_ID = Text(
    known_id("item.external_id", noun=Sql("replace(change.object, 'segment-', '')"), key="member.key")
)
ITEM_ASSIGNMENT = {
    "segmentId": Text(SEGMENT_ID),
    "type": TYPE,
    "item": Nested(
        {"id": ITEM_ID, "code": Text("item.code"), "name": Localized("item.name", omit_empty=False)}
    ),
    **ASSIGNMENT,
}
item_deleted = {"segmentId": Text(SEGMENT_ID), "type": TYPE, "itemId": ITEM_ID, "tenant": TENANT}
for noun, table in {"product": "catalog_product", "category": "catalog_category"}.items():
    name = f"segment-{noun}"
    items = recorded_as(name)
    assert isinstance(items, RecordedAssignments)
    shown = sql(
        " LEFT JOIN {table} AS item ON item.tenant_id = change.tenant_id AND item.id = member.key",
        table=identifier(table),
    )
    register_event_source(
        EventSource(
            objects=(name,),
            kinds={kind: f"{SERVICE}.item-assignment-{kind}" for kind in WRITTEN},
            payloads={f"{SERVICE}.item-assignment-{kind}": ITEM_ASSIGNMENT for kind in WRITTEN},
            tables=sql(
                "change{rewriting}{members}{assignment}{shown}",
                rewriting=rewriting(),
                members=members(),
                assignment=assignment_after(items, name, "assignment"),
                shown=shown,
            ),
            order_key=OF_SEGMENT,
            number=MEMBER,
        )
    )
    register_event_source(
        EventSource(
            objects=(name,),
            kinds={"deleted": f"{SERVICE}.item-assignment-deleted"},
            payloads={f"{SERVICE}.item-assignment-deleted": item_deleted},
            tables=sql("change{members}{shown}", members=members(), shown=shown),
            order_key=OF_SEGMENT,
            number=MEMBER,
        )
    )
