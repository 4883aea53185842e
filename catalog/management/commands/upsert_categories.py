from accounts.imports.commands import ImportCommand
from catalog.imports.category_files import CATEGORY_FILES


class Command(ImportCommand):
    """Categories out of a file."""

    kind = CATEGORY_FILES
