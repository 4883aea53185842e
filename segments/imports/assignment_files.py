"""Files of customers and items of segments. A row is a body of the bulk API that names its segment too."""

from collections.abc import Mapping
from typing import Any

from core.bodies import LONGEST_REFERENCE, read_body
from core.imports.columns import with_alternative
from core.imports.merge_statements import Mode
from core.imports.other_names import STAND_IN, as_stored, other_name
from core.imports.plain_rows import PlainRow
from core.imports.resources import Export, ImportResource, TableWriter
from core.representation.fields import Boolean, Json, Nested, Text
from core.representation.representations import Representation
from core.tenancy.callers import TenantRecord
from segments.imports.assignments import (
    ITEM_DETAILS,
    MEMBER_DETAILS,
    SEGMENT_CUSTOMERS,
    SEGMENT_ITEMS,
    SegmentCustomerRow,
    SegmentItemRow,
)
from segments.imports.columns import StagedValues, columns_of
from segments.models import CustomerAssignment, ItemAssignment
from segments.operations.items import ItemType, check_product
from segments.representations import CUSTOMER_ASSIGNMENT, ITEM_ASSIGNMENT, validity

ASSIGNMENT_MODES = (Mode.UPSERT, Mode.INSERT, Mode.REPLACE, Mode.DELETE)
WINDOW_NOTES = {"validity": "when it counts; an empty end is open"}

member_values = StagedValues(CustomerAssignment, SegmentCustomerRow, MEMBER_DETAILS)
item_values = StagedValues(ItemAssignment, SegmentItemRow, ITEM_DETAILS)


def read_member_row(body: Mapping[str, object], tenant: TenantRecord) -> tuple[object, ...]:
    """Return the row as SEGMENT_CUSTOMERS takes it, behind the version that it expects."""
    email = other_name(body, "contactEmail", instead_of="customerId")
    row = read_body(SegmentCustomerRow, {**body, "customerId": STAND_IN} if email else body)
    return (row.expected_version, *staged_member(row, email=email))


def staged_member(row: SegmentCustomerRow, *, email: str | None = None) -> tuple[object, ...]:
    """Return the values of `SEGMENT_CUSTOMERS.given`; an e-mail address names the customer, if given."""
    customer = None if email else row.customer_id
    return (row.segment_id, customer, row.legal_entity_id, *member_values(row), email)


def read_item_row(body: Mapping[str, object], tenant: TenantRecord) -> tuple[object, ...]:
    """Return the row as SEGMENT_ITEMS takes it, behind the version that it expects."""
    item_type = body.get("type")
    if isinstance(item_type, str):
        body = {**body, "type": item_type.upper()}
    code = other_name(body, "code", instead_of="id")
    row = read_body(SegmentItemRow, {**body, "id": STAND_IN} if code else body)
    if row.type == ItemType.PRODUCT:
        check_product(row)
    return (row.expected_version, *staged_item(row, code=code))


def staged_item(row: SegmentItemRow, *, code: str | None = None) -> tuple[object, ...]:
    """Return the values of `SEGMENT_ITEMS.given`; a code names the product or category, if given."""
    name = None if code else row.id
    is_product = row.type == ItemType.PRODUCT
    ids, codes = ((name, None), (code, None)) if is_product else ((None, name), (None, code))
    return (row.segment_id, *ids, *item_values(row), *codes)


def member_key(body: Mapping[str, Any]) -> Mapping[str, str | None] | None:
    """Return what names the assignment of a refused row; None when a part of it cannot be read."""
    segment, customer, company = body.get("segmentId"), body.get("customerId"), body.get("legalEntityId")
    name = "customer"
    if customer is None:
        name, customer = "customer_email", as_stored(body.get("contactEmail"))
    if not (is_reference(segment) and is_reference(customer) and (company is None or is_reference(company))):
        return None
    return {"segment": segment, name: customer, "legal_entity": company}


def item_key(body: Mapping[str, Any]) -> Mapping[str, str | None] | None:
    """Return what names the assignment of a refused row; None when a part of it cannot be read."""
    segment, item, kind = body.get("segmentId"), body.get("id"), str(body.get("type")).upper()
    name = kind.lower()
    if item is None:
        name, item = f"{name}_code", as_stored(body.get("code"))
    if not (is_reference(segment) and is_reference(item) and kind in ItemType.__members__):
        return None
    return {"segment": segment, name: item}


def is_reference(value: object) -> bool:
    """Say whether a value can be the id of something."""
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_REFERENCE


MIXINS = {
    "mixins": Json("assignment.mixins", omit_empty=False),
    "metadata": Nested({"mixins": Json("assignment.mixin_schemas", omit_empty=False)}),
}

MEMBERS_OF_SEGMENTS = ImportResource(
    name="segment_customers",
    noun="customers of segments",
    columns=with_alternative(
        columns_of(
            SegmentCustomerRow,
            customer_id="the customer number",
            legal_entity_id="for a B2B assignment",
            **WINDOW_NOTES,
        ),
        "customerId",
        "contactEmail",
    ),
    writer=TableWriter(
        SEGMENT_CUSTOMERS,
        read_member_row,
        key_of=member_key,
        plain=PlainRow(
            columns={"segment": "segmentId", "customer": "customerId", "legal_entity": "legalEntityId"},
            required=frozenset({"segmentId", "customerId"}),
        ),
    ),
    export=Export(
        Representation(
            table=CUSTOMER_ASSIGNMENT.table,
            alias=CUSTOMER_ASSIGNMENT.alias,
            fields={
                "segmentId": Text("segment.external_id", needs=("segment",)),
                "customerId": Text("customer.external_id", needs=("customer",)),
                "legalEntityId": Text("legal_entity.external_id", needs=("legal_entity",)),
                "validity": validity("assignment"),
                **MIXINS,
            },
            joins={**CUSTOMER_ASSIGNMENT.joins, "segment": ITEM_ASSIGNMENT.joins["segment"]},
        ),
        order="assignment.segment_id, assignment.customer_id, assignment.legal_entity_id",
        key=("segmentId", "customerId", "legalEntityId"),
    ),
    modes=ASSIGNMENT_MODES,
    part_size=1_000_000,
)

ITEMS_OF_SEGMENTS = ImportResource(
    name="segment_items",
    noun="items of segments",
    columns=with_alternative(
        columns_of(
            SegmentItemRow,
            type="PRODUCT or CATEGORY",
            id="the product's or category's id",
            includes_subcategories="for a category: all below it too",
            **WINDOW_NOTES,
        ),
        "id",
        "code",
    ),
    writer=TableWriter(
        SEGMENT_ITEMS,
        read_item_row,
        key_of=item_key,
    ),
    export=Export(
        Representation(
            table=ITEM_ASSIGNMENT.table,
            alias=ITEM_ASSIGNMENT.alias,
            fields={
                "segmentId": Text("segment.external_id", needs=("segment",)),
                "type": ITEM_ASSIGNMENT.fields["type"],
                "id": Text(
                    "coalesce(product.external_id, category.external_id)", needs=("product", "category")
                ),
                "includeSubcategories": Boolean("nullif(assignment.includes_subcategories, FALSE)"),
                "validity": validity("assignment"),
                **MIXINS,
            },
            joins=ITEM_ASSIGNMENT.joins,
        ),
        order="assignment.segment_id, assignment.category_id, assignment.product_id",
        key=("segmentId", "type", "id"),
    ),
    modes=ASSIGNMENT_MODES,
    part_size=1_000_000,
)
