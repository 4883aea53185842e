from catalog.imports.category_assignment_files import PRODUCTS_IN_CATEGORIES
from catalog.imports.category_files import CATEGORY_FILES
from catalog.imports.product_files import PRODUCT_FILES
from core.imports.resources import register

register(PRODUCTS_IN_CATEGORIES, CATEGORY_FILES, PRODUCT_FILES)
