from catalog.imports.category_assignments import PRODUCTS_IN_CATEGORIES
from core.imports.commands import ImportCommand


class Command(ImportCommand):
    """Products in categories out of a file."""

    kind = PRODUCTS_IN_CATEGORIES
