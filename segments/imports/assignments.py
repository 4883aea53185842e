"""Customers and items of segments as rows of an import."""

from collections.abc import Mapping
from typing import Literal

from catalog.subtrees import is_category
from core.bodies import Reference
from core.imports import merge_specs
from core.imports.merge_specs import WINDOW_CHECK, Check, MergeSpec, OtherName, plain_values
from core.sql.upserts import UpsertTarget
from segments.bodies import CustomerAssignmentBody, ItemAssignmentBody
from segments.imports.columns import parts_of
from segments.operations.customers import CUSTOMER_ASSIGNMENTS
from segments.operations.items import ITEM_ASSIGNMENTS

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
