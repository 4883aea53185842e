from catalog.imports.products import PRODUCT_FILES
from core.imports.commands import ExportCommand


class Command(ExportCommand):
    """Products into a file."""

    kind = PRODUCT_FILES
