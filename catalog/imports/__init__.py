from catalog.imports.categories import CATEGORY_FILES
from catalog.imports.category_assignments import PRODUCTS_IN_CATEGORIES
from catalog.imports.products import PRODUCT_FILES
from core.imports.resources import register

register(PRODUCTS_IN_CATEGORIES, CATEGORY_FILES, PRODUCT_FILES)
