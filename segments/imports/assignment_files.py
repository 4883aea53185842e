"""Files of customers and items of segments. A row is a body of the bulk API that names its segment too."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from core.errors import InvalidInput
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.merge_statements import Mode
from core.imports.plain_rows import PlainRow
from core.imports.resources import Export, ImportKind, TableWriter
from core.imports.stages import json_text
from core.representation.fields import Boolean, Json, Nested, Text
from core.representation.representations import Representation
from core.tenancy.callers import TenantRecord
from core.timestamps import parse_validity
from segments.bodies import LONGEST_REFERENCE, read_flag, read_metadata, read_object, read_reference
from segments.imports.assignments import SEGMENT_CUSTOMERS, SEGMENT_ITEMS
from segments.operations.items import ItemType
from segments.representations import CUSTOMER_ASSIGNMENT, ITEM_ASSIGNMENT, validity

ASSIGNMENT_MODES = (Mode.UPSERT, Mode.INSERT, Mode.REPLACE, Mode.DELETE)
COMMON_COLUMNS = (
    Column("validity.from", ColumnType.TIME, note="counts from then on"),
    Column("validity.to", ColumnType.TIME, note="counts until then"),
    Column("mixins", ColumnType.JSON, note="own attributes"),
    Column("metadata.mixins", ColumnType.JSON, note="addresses of their schemas"),
    EXPECTED_VERSION,
)
ABSENT = (None, None, None, None)


def read_document(body: Mapping[str, Any]) -> tuple[int | None, tuple[Any, ...]]:
    """Return the version that a row expects, and its window, mixins and their schemas."""
    entry = dict(body)
    starts_at, ends_at = window_of(body)
    schemas, version = read_metadata(entry)
    mixins = read_object(entry, "mixins", field="mixins")
    return version, (starts_at, ends_at, json_text(mixins), json_text(schemas))


def window_of(body: Mapping[str, Any]) -> tuple[Any, Any]:
    window = body.get("validity")
    if window is None:
        return None, None
    if isinstance(window, dict) and all(isinstance(end, str) for end in window.values()):
        return known_window(window.get("from"), window.get("to"))
    return parse_validity(window)


@lru_cache(maxsize=10_000)
def known_window(starts: str | None, ends: str | None) -> tuple[Any, Any]:
    """Read a window; files repeat the same few over and over."""
    return parse_validity({"from": starts, "to": ends})


def has_document(body: Mapping[str, Any]) -> bool:
    """Say whether a row has anything beside whom or what it assigns."""
    return "validity" in body or "mixins" in body or "metadata" in body


def read_member_row(body: Mapping[str, Any], tenant: TenantRecord) -> tuple[Any, ...]:
    """Return the row as SEGMENT_CUSTOMERS takes it, behind the version that it expects."""
    segment = read_reference(body.get("segmentId"), field="segmentId")
    customer = read_reference(body.get("customerId"), field="customerId")
    legal_entity = body.get("legalEntityId")
    if legal_entity is not None:
        legal_entity = read_reference(legal_entity, field="legalEntityId")
    version, document = read_document(body) if has_document(body) else (None, ABSENT)
    return (version, segment, customer, legal_entity, *document)


def read_item_row(body: Mapping[str, Any], tenant: TenantRecord) -> tuple[Any, ...]:
    """Return the row as SEGMENT_ITEMS takes it, behind the version that it expects."""
    segment = read_reference(body.get("segmentId"), field="segmentId")
    item = read_reference(body.get("id"), field="id")
    kind = body.get("type")
    kind = kind.upper() if isinstance(kind, str) else kind
    if kind not in ItemType.__members__:
        raise InvalidInput(f"type must be {' or '.join(ItemType)}.", field="type")
    includes = "includeSubcategories" in body and read_flag(dict(body), "includeSubcategories")
    product, category = (item, None) if kind == ItemType.PRODUCT else (None, item)
    if product is not None and includes:
        raise InvalidInput("A product has no subcategories to include.", field="includeSubcategories")
    version, document = read_document(body) if has_document(body) else (None, ABSENT)
    return (version, segment, product, category, includes, *document)


def member_key(body: Mapping[str, Any]) -> Mapping[str, str | None] | None:
    """Return what names the assignment of a refused row; None when a part of it cannot be read."""
    segment, customer, company = body.get("segmentId"), body.get("customerId"), body.get("legalEntityId")
    if not (is_reference(segment) and is_reference(customer) and (company is None or is_reference(company))):
        return None
    return {"segment": segment, "customer": customer, "legal_entity": company}


def item_key(body: Mapping[str, Any]) -> Mapping[str, str | None] | None:
    """Return what names the assignment of a refused row; None when a part of it cannot be read."""
    segment, item, kind = body.get("segmentId"), body.get("id"), str(body.get("type")).upper()
    if not (is_reference(segment) and is_reference(item) and kind in ItemType.__members__):
        return None
    return {"segment": segment, kind.lower(): item}


def is_reference(value: object) -> bool:
    """Say whether a value can be the id of something."""
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_REFERENCE


MIXINS = {
    "mixins": Json("assignment.mixins"),
    "metadata": Nested({"mixins": Json("assignment.mixin_schemas")}),
}

MEMBERS_OF_SEGMENTS = ImportKind(
    name="segment_customers",
    noun="customers of segments",
    columns=(
        Column("segmentId", is_required=True, is_id=True),
        Column("customerId", is_required=True, is_id=True, note="the customer number"),
        Column("legalEntityId", is_id=True, note="for a B2B assignment"),
        *COMMON_COLUMNS,
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
    most_rows_at_once=100_000,
    is_undoable=True,
)

ITEMS_OF_SEGMENTS = ImportKind(
    name="segment_items",
    noun="items of segments",
    columns=(
        Column("segmentId", is_required=True, is_id=True),
        Column("type", is_required=True, note="PRODUCT or CATEGORY"),
        Column("id", is_required=True, is_id=True, note="the product's or category's id"),
        Column("includeSubcategories", ColumnType.FLAG, note="for a category: all below it too"),
        *COMMON_COLUMNS,
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
    most_rows_at_once=100_000,
    is_undoable=True,
)
