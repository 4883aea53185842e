"""Products as rows of an import."""

from catalog.bodies import DETAILS as OWN_ATTRIBUTES
from catalog.operations.products import OWN_COLUMNS, TARGET
from core.imports.merge_specs import Check, MergeSpec, Unique, plain_values

GIVEN = {
    name: type for name, type in TARGET.columns.items() if name in OWN_COLUMNS and name != "product_type"
}
INVISIBLE = (
    r"\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    r"\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164"
    r"\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
"""Characters that nobody sees, as `core.text.has_visible_character` has them, in a class of PostgreSQL's."""

PRODUCTS = MergeSpec(
    name="products",
    target=TARGET,
    given=GIVEN,
    values={
        **plain_values(GIVEN),
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
    unique=Unique(column="code", code="code", noun="code", owner="product"),
    checks=(
        Check(
            code="invalid_product",
            condition="result.code IS NULL",
            message="'code is missing; a new product needs one.'",
        ),
        Check(
            code="invalid_product",
            condition=(
                "NOT EXISTS (SELECT FROM jsonb_each_text(result.name) AS text"
                f" WHERE text.value ~ '[^{INVISIBLE}]')"
            ),
            message="'name is missing; a product needs one in at least one language.'",
        ),
    ),
)
"""A product by id."""
