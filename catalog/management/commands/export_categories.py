from catalog.imports.categories import CATEGORY_FILES
from core.imports.commands import ExportCommand


class Command(ExportCommand):
    """Categories into a file."""

    kind = CATEGORY_FILES
