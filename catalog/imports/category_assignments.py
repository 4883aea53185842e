"""Products in categories as rows of an import."""

from core.imports.merge_specs import Reference, TableKind
from core.sql.upserts import UpsertTarget

CATEGORY_ASSIGNMENTS = TableKind(
    name="category assignments",
    target=UpsertTarget(
        table="catalog_categoryassignment",
        key=("tenant_id", "category_id", "product_id"),
        columns={
            "tenant_id": "bigint",
            "external_id": "text",
            "category_id": "bigint",
            "product_id": "bigint",
            "created_at": "timestamptz",
        },
        created_only=frozenset({"external_id", "created_at"}),
    ),
    given={"external_id": "text", "category": "text", "product": "text"},
    values={
        "tenant_id": "%(tenant)s",
        "external_id": "given.external_id",
        "category_id": "category.id",
        "product_id": "product.id",
        "created_at": "%(at)s",
    },
    references=(
        Reference(
            "category", "catalog_category", "category", "category", condition="category.parent_id IS NOT NULL"
        ),
        Reference("product", "catalog_product", "product", "product"),
    ),
    versioned=False,
    scope="category_id",
)
"""A product standing in a category, by both; `external_id` is kept when it stands there already."""
