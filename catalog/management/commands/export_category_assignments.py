from accounts.imports.commands import ExportCommand
from catalog.imports.category_assignment_files import PRODUCTS_IN_CATEGORIES


class Command(ExportCommand):
    """Products in categories into a file."""

    kind = PRODUCTS_IN_CATEGORIES
