"""What the columns of the catalogue hold: nothing of customers."""

from catalog.models import Category, CategoryAssignment, CategoryNumber, Product
from core.personal_data.declarations import KEEP, declare, each

ASSORTMENT = KEEP("describes the assortment")

declare(
    Category,
    each(
        ASSORTMENT,
        *("mixins", "mixin_schemas", "external_id", "type", "code", "name", "description", "slug"),
        "own_classification_mixins",
    ),
)
declare(CategoryAssignment, each(ASSORTMENT, "external_id"))
declare(CategoryNumber, each(ASSORTMENT, "value"))
declare(
    Product,
    each(
        ASSORTMENT,
        *("mixins", "mixin_schemas", "external_id", "code", "name", "description", "product_type", "details"),
    ),
)
