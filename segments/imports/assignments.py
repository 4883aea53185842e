"""Files of customers and items of segments. A row is that of the bulk API, and names its segment too."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

from catalog.subtrees import is_category
from core.bodies import Reference, read_bodies
from core.errors import DomainError, InvalidInput
from core.imports import merge_specs
from core.imports.columns import with_alternative
from core.imports.merge_specs import WINDOW_CHECK, Check, MergeSpec, OtherName, plain_values
from core.imports.merge_statements import Mode
from core.imports.other_names import STAND_IN, as_stored, id_as_stored, is_reference, other_name
from core.imports.plain_rows import PlainRow
from core.imports.resources import Export, ImportResource
from core.imports.writers import StagedRow, TableWriter
from core.json_types import JsonMapping
from core.representation.fields import Boolean, Json, Nested, Text
from core.representation.representations import Representation
from core.sql.upserts import UpsertTarget
from core.tenancy.callers import TenantRecord
from segments.bodies import CustomerAssignmentBody, ItemAssignmentBody
from segments.imports.columns import columns_of, parts_of, staged_values
from segments.models import CustomerAssignment, ItemAssignment
from segments.operations.customers import CUSTOMER_ASSIGNMENTS
from segments.operations.items import ITEM_ASSIGNMENTS, ItemType, checked_items
from segments.representations import CUSTOMER_ASSIGNMENT, ITEM_ASSIGNMENT, validity

AnyRow = TypeVar("AnyRow")
StagedRows = Sequence[StagedRow | DomainError]
SEGMENT = merge_specs.Reference("segment", "segments_segment", "segment", "segment")
OTHER = frozenset({"created_at", "modified_at", "assignment_type"})
"""Columns that no file says."""


class SegmentCustomerRow(CustomerAssignmentBody, kw_only=True):
    """A customer of a segment in a file: a row of the bulk API that names its segment too."""

    segment_id: Reference


class SegmentItemRow(ItemAssignmentBody, kw_only=True):
    """An item of a segment in a file: a row of the bulk API that names its segment and its type too."""

    segment_id: Reference
    type: Literal["PRODUCT", "CATEGORY"]


def details_of(target: UpsertTarget) -> dict[str, str]:
    """Return the columns whose values a row gives, with their types; the keys of what it names come apart."""
    apart = OTHER.union(target.key)
    return {name: type_name for name, type_name in target.columns.items() if name not in apart}


def values_of(details: Mapping[str, str]) -> dict[str, str]:
    """Return the expressions of the columns that both kinds have."""
    return {
        "tenant_id": "%(tenant)s",
        "segment_id": "segment.id",
        **plain_values(details),
        "created_at": "%(at)s",
        "modified_at": "%(at)s",
    }


MEMBER_DETAILS = details_of(CUSTOMER_ASSIGNMENTS)
ITEM_DETAILS = details_of(ITEM_ASSIGNMENTS)

SEGMENT_CUSTOMERS = MergeSpec(
    name="segment customers",
    target=CUSTOMER_ASSIGNMENTS,
    given={
        "segment": "text",
        "customer": "text",
        "legal_entity": "text",
        **MEMBER_DETAILS,
        "customer_email": "text",
    },
    values={
        **values_of(MEMBER_DETAILS),
        "customer_id": "customer.id",
        "legal_entity_id": "legal_entity.id",
        "assignment_type": "'MANUAL'",
    },
    references=(
        SEGMENT,
        merge_specs.Reference("customer", "accounts_customer", "customer", "customer"),
        merge_specs.Reference("legal_entity", "accounts_legalentity", "legal_entity", "legal entity"),
    ),
    checks=(
        Check(
            code="not_a_contact",
            condition=(
                "legal_entity.id IS NOT NULL AND NOT EXISTS"
                " (SELECT FROM accounts_contactassignment AS contact WHERE contact.tenant_id = %(tenant)s"
                " AND contact.customer_id = customer.id AND contact.legal_entity_id = legal_entity.id)"
            ),
            message=(
                "'The customer ' || given.customer || ' is not assigned to the legal entity '"
                " || given.legal_entity || '.'"
            ),
        ),
        WINDOW_CHECK,
    ),
    parts=parts_of(SegmentCustomerRow, MEMBER_DETAILS),
    nullable=frozenset({"legal_entity_id"}),
    other_names=(
        OtherName(
            "customer_email",
            "contactEmail",
            "customer",
            identifier="email",
            noun="customer with the e-mail address",
            folded="lower({value})",
        ),
    ),
    scope="segment_id",
    replaced="stored.assignment_type = 'MANUAL'",
)
"""A customer of a segment, by themselves or for a legal entity that they are a contact of."""

SEGMENT_ITEMS = MergeSpec(
    name="segment items",
    target=ITEM_ASSIGNMENTS,
    given={
        "segment": "text",
        "product": "text",
        "category": "text",
        **ITEM_DETAILS,
        "product_code": "text",
        "category_code": "text",
    },
    values={
        **values_of(ITEM_DETAILS),
        "product_id": "product.id",
        "category_id": "category.id",
    },
    references=(
        merge_specs.Reference("product", "catalog_product", "product", "product"),
        merge_specs.Reference(
            "category", "catalog_category", "category", "category", condition=is_category("category").sql
        ),
        SEGMENT,
    ),
    parts=parts_of(SegmentItemRow, ITEM_DETAILS),
    checks=(WINDOW_CHECK,),
    nullable=frozenset({"product_id", "category_id"}),
    other_names=(
        OtherName("product_code", "code", "product", identifier="code", noun="product with the code"),
        OtherName(
            "category_code",
            "code",
            "category",
            identifier="code",
            noun="category with the code",
            folded="lower({value})",
        ),
    ),
    scope="segment_id",
)
"""A product or a category of a segment; a row gives one of the two."""


ASSIGNMENT_MODES = (Mode.UPSERT, Mode.INSERT, Mode.REPLACE, Mode.DELETE)
WINDOW_NOTES = {"validity": "when it counts; an empty end is open"}

member_values = staged_values(CustomerAssignment, SegmentCustomerRow, MEMBER_DETAILS)
item_values = staged_values(ItemAssignment, SegmentItemRow, ITEM_DETAILS)


def read_member_rows(bodies: Sequence[JsonMapping], tenant: TenantRecord) -> StagedRows:
    """Return the rows as SEGMENT_CUSTOMERS takes them, behind the versions that they expect."""
    readable, emails = with_stand_ins(bodies, "contactEmail", instead_of="customerId")
    return staged_rows(read_bodies(SegmentCustomerRow, readable), emails, staged_members)


def read_item_rows(bodies: Sequence[JsonMapping], tenant: TenantRecord) -> StagedRows:
    """Return the rows as SEGMENT_ITEMS takes them, behind the versions that they expect."""
    types = [str(body.get("type")).upper() for body in bodies]
    typed = [
        {**body, "type": item_type} if isinstance(body.get("type"), str) else body
        for body, item_type in zip(bodies, types, strict=True)
    ]
    readable, codes = with_stand_ins(typed, "code", instead_of="id")
    return staged_rows(checked_items(read_bodies(SegmentItemRow, readable), types), codes, staged_items)


def with_stand_ins(
    bodies: Sequence[JsonMapping], member: str, *, instead_of: str
) -> tuple[Sequence[JsonMapping | DomainError], Sequence[str | None]]:
    """Return each body, with a stand-in for the id that it lacks, and the other name that it has instead.

    A body that has both comes back as the error.
    """
    if not any(member in body for body in bodies):
        return bodies, [None] * len(bodies)
    readable: list[JsonMapping | DomainError] = []
    names: list[str | None] = []
    for body in bodies:
        try:
            name = other_name(body, member, instead_of=instead_of)
        except InvalidInput as error:
            readable.append(error)
            names.append(None)
        else:
            readable.append({**body, instead_of: STAND_IN} if name else body)
            names.append(name)
    return readable, names


def staged_rows(
    rows: Sequence[AnyRow | DomainError],
    names: Sequence[str | None],
    staged: Callable[[Sequence[AnyRow], Sequence[str | None]], list[StagedRow]],
) -> StagedRows:
    """Return the rows as they are `staged` along with their other names; errors stay where they are."""
    read = [row for row in rows if not isinstance(row, DomainError)]
    if len(read) == len(rows):
        return staged(read, names)
    named = [name for row, name in zip(rows, names, strict=True) if not isinstance(row, DomainError)]
    values = iter(staged(read, named))
    return [row if isinstance(row, DomainError) else next(values) for row in rows]


def staged_members(rows: Sequence[SegmentCustomerRow], emails: Sequence[str | None]) -> list[StagedRow]:
    """Return the version that each row expects, and the values of `SEGMENT_CUSTOMERS.given`.

    An e-mail address, if given, names the customer.
    """
    staged: list[StagedRow] = []
    columns = member_values.read(rows)
    for row, email, (version, *details) in zip(rows, emails, zip(*columns, strict=True), strict=True):
        customer = None if email else row.customer_id
        staged.append((version, row.segment_id, customer, row.legal_entity_id, *details, email))
    return staged


def staged_items(rows: Sequence[SegmentItemRow], codes: Sequence[str | None]) -> list[StagedRow]:
    """Return the version that each row expects, and the values of `SEGMENT_ITEMS.given`.

    A code, if given, names the product or category.
    """
    staged: list[StagedRow] = []
    columns = item_values.read(rows)
    for row, code, (version, *details) in zip(rows, codes, zip(*columns, strict=True), strict=True):
        name = None if code else row.id
        if row.type == ItemType.PRODUCT:
            staged.append((version, row.segment_id, name, None, *details, code, None))
        else:
            staged.append((version, row.segment_id, None, name, *details, None, code))
    return staged


def member_key(body: JsonMapping) -> Mapping[str, str | None] | None:
    """Return what names the assignment of a refused row; None when a part of it cannot be read."""
    ids = (id_as_stored(body.get(name)) for name in ("segmentId", "customerId", "legalEntityId"))
    segment, customer, company = ids
    name = "customer"
    if customer is None:
        name, customer = "customer_email", as_stored(body.get("contactEmail"))
    if not (is_reference(segment) and is_reference(customer) and (company is None or is_reference(company))):
        return None
    return {"segment": segment, name: customer, "legal_entity": company}


def item_key(body: JsonMapping) -> Mapping[str, str | None] | None:
    """Return what names the assignment of a refused row; None when a part of it cannot be read."""
    segment, item = id_as_stored(body.get("segmentId")), id_as_stored(body.get("id"))
    kind = str(body.get("type")).upper()
    name = kind.lower()
    if item is None:
        name, item = f"{name}_code", as_stored(body.get("code"))
    if not (is_reference(segment) and is_reference(item) and kind in ItemType.__members__):
        return None
    return {"segment": segment, name: item}


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
        table=SEGMENT_CUSTOMERS,
        read=read_member_rows,
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
    writer=TableWriter(table=SEGMENT_ITEMS, read=read_item_rows, key_of=item_key),
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
