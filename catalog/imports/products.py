"""Products as rows of an import."""

from core.imports.kinds import Check, TableKind, earlier_holder, plain_values
from core.upserts import UpsertTarget

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
    joins=(
        "LEFT JOIN catalog_product AS holder ON holder.tenant_id = %(tenant)s"
        " AND holder.code = given.code AND holder.external_id <> given.external_id"
        f" {earlier_holder('code', 'given.code')}"
    ),
    checks=(
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
