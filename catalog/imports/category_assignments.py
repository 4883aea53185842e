"""Products in categories as rows of an import."""

from catalog.models import CategoryAssignment
from catalog.subtrees import is_category
from core.imports.merge_specs import MergeSpec, OtherName, Reference
from core.sql.upserts import UpsertTarget

CATEGORY_ASSIGNMENTS = MergeSpec(
    name="category assignments",
    target=UpsertTarget.of(
        CategoryAssignment, "tenant_id", "category_id", "product_id", created_only=("external_id",)
    ),
    given={"external_id": "text", "category": "text", "product": "text", "product_code": "text"},
    values={
        "tenant_id": "%(tenant)s",
        "external_id": "given.external_id",
        "category_id": "category.id",
        "product_id": "product.id",
        "created_at": "%(at)s",
    },
    references=(
        Reference(
            "category", "catalog_category", "category", "category", condition=is_category("category").sql
        ),
        Reference("product", "catalog_product", "product", "product"),
    ),
    other_names=(
        OtherName("product_code", "ref.code", "product", identifier="code", noun="product with the code"),
    ),
    versioned=False,
    scope="category_id",
)
"""A product in a category, by both; `external_id` is kept when the assignment exists already."""
