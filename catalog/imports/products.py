"""Products as rows of an import."""

from catalog.products import DETAILS as OWN_ATTRIBUTES
from core.imports.merge_specs import Check, TableKind, earlier_holder, plain_values
from core.sql.upserts import UpsertTarget

DETAILS = {
    "external_id": "text",
    "code": "text",
    "name": "jsonb",
    "description": "jsonb",
    "is_published": "boolean",
    "details": "jsonb",
    "mixins": "jsonb",
    "mixin_schemas": "jsonb",
}

PRODUCTS = TableKind(
    name="products",
    target=UpsertTarget(
        table="catalog_product",
        key=("tenant_id", "external_id"),
        columns={
            "tenant_id": "bigint",
            **DETAILS,
            "product_type": "text",
            "created_at": "timestamptz",
            "modified_at": "timestamptz",
        },
        created_only=frozenset({"created_at", "product_type"}),
    ),
    given=DETAILS,
    values={
        **plain_values(DETAILS),
        "tenant_id": "%(tenant)s",
        "is_published": "coalesce(given.is_published, stored.is_published, FALSE)",
        "product_type": "'BASIC'",
        "created_at": "%(at)s",
        "modified_at": "%(at)s",
    },
    parts={
        "code": "code",
        "name": "name.*",
        "description": "description.*",
        "published": "is_published",
        **{name: f"details.{name}" for name in OWN_ATTRIBUTES},
        "mixins": "mixins",
        "metadata.mixins": "mixin_schemas",
    },
    joins=(
        "LEFT JOIN catalog_product AS holder ON holder.tenant_id = %(tenant)s"
        " AND holder.code = given.code AND holder.external_id <> given.external_id"
        f" {earlier_holder('code', 'given.code')}"
    ),
    checks=(
        Check(
            code="invalid_product",
            condition="result.code IS NULL",
            message="'code is missing; a new product needs one.'",
        ),
        Check(
            code="invalid_product",
            condition="result.name = '{}'",
            message="'name is missing; a product needs one in at least one language.'",
        ),
        Check(
            code="code_taken",
            condition="holder.id IS NOT NULL",
            message="'The code ' || given.code || ' belongs to another product.'",
        ),
        Check(
            code="code_repeated",
            condition="earlier.line IS NOT NULL",
            message="'An earlier line gives the code ' || given.code || ' to another product.'",
        ),
    ),
)
"""A product by id."""
