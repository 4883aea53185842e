from catalog.imports.categories import CATEGORY_FILES
from core.imports.commands import ImportCommand


class Command(ImportCommand):
    """Categories out of a file."""

    kind = CATEGORY_FILES
