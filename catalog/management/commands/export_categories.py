from accounts.imports.commands import ExportCommand
from catalog.imports.category_files import CATEGORY_FILES


class Command(ExportCommand):
    """Categories into a file."""

    kind = CATEGORY_FILES
