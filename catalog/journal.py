"""What the journal records of products, categories and the products in them."""

from catalog.models import Category, CategoryAssignment, CategoryNumber, Product
from core.journal.declarations import RecordedAssignments, RecordedDocument, record

CATEGORY = RecordedDocument(model=Category, object="category", derived=("lft", "rght", "tree_id", "level"))
CATEGORY_NUMBER = RecordedDocument(
    model=CategoryNumber, object="category-number", external_id="it.value", owner="it.category_id"
)
PRODUCT = RecordedDocument(model=Product, object="product")
CATEGORY_PRODUCTS = RecordedAssignments(
    model=CategoryAssignment,
    object="category-product",
    owner="category_id",
    owner_table="catalog_category",
    members={"category-product": "product_id"},
)

record(CATEGORY, CATEGORY_NUMBER, PRODUCT, CATEGORY_PRODUCTS)
