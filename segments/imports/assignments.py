"""What belongs to segments, customers and items, as rows of an import."""

from catalog.subtrees import is_category
from core.imports.merge_specs import WINDOW_CHECK, Check, Reference, TableKind
from segments.operations.customers import CUSTOMER_ASSIGNMENTS
from segments.operations.items import ITEM_ASSIGNMENTS

SEGMENT = Reference("segment", "segments_segment", "segment", "segment")
WINDOW = {"valid_from": "timestamptz", "valid_to": "timestamptz"}
DOCUMENT = {"mixins": "jsonb", "mixin_schemas": "jsonb"}
COMMON = {
    "tenant_id": "%(tenant)s",
    "segment_id": "segment.id",
    "valid_from": "given.valid_from",
    "valid_to": "given.valid_to",
    "mixins": "coalesce(given.mixins, '{}')",
    "mixin_schemas": "coalesce(given.mixin_schemas, '{}')",
    "created_at": "%(at)s",
    "modified_at": "%(at)s",
}

PARTS = {
    "validity.from": "valid_from",
    "validity.to": "valid_to",
    "mixins": "mixins",
    "metadata.mixins": "mixin_schemas",
}

SEGMENT_CUSTOMERS = TableKind(
    name="segment customers",
    target=CUSTOMER_ASSIGNMENTS,
    given={
        "segment": "text",
        "customer": "text",
        "legal_entity": "text",
        **WINDOW,
        **DOCUMENT,
    },
    values={
        **COMMON,
        "customer_id": "customer.id",
        "legal_entity_id": "legal_entity.id",
        "assignment_type": "'MANUAL'",
    },
    references=(
        SEGMENT,
        Reference("customer", "accounts_customer", "customer", "customer"),
        Reference("legal_entity", "accounts_legalentity", "legal_entity", "legal entity"),
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
    parts=PARTS,
    nullable=frozenset({"legal_entity_id"}),
    scope="segment_id",
)
"""A customer belonging to a segment, alone or for a legal entity that they are a contact of."""

SEGMENT_ITEMS = TableKind(
    name="segment items",
    target=ITEM_ASSIGNMENTS,
    given={
        "segment": "text",
        "product": "text",
        "category": "text",
        "includes_subcategories": "boolean",
        **WINDOW,
        **DOCUMENT,
    },
    values={
        **COMMON,
        "product_id": "product.id",
        "category_id": "category.id",
        "includes_subcategories": "given.includes_subcategories",
    },
    references=(
        Reference("product", "catalog_product", "product", "product"),
        Reference(
            "category", "catalog_category", "category", "category", condition=is_category("category").sql
        ),
        SEGMENT,
    ),
    parts={**PARTS, "includeSubcategories": "includes_subcategories"},
    checks=(WINDOW_CHECK,),
    nullable=frozenset({"product_id", "category_id"}),
    scope="segment_id",
)
"""A product or a category belonging to a segment; a row gives one of the two."""
