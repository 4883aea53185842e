from catalog.imports.category_assignments import PRODUCTS_IN_CATEGORIES
from core.imports.commands import ExportCommand


class Command(ExportCommand):
    """Products in categories into a file."""

    kind = PRODUCTS_IN_CATEGORIES
