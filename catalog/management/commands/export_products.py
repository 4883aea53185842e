from accounts.imports.commands import ExportCommand
from catalog.imports.product_files import PRODUCT_FILES


class Command(ExportCommand):
    """Products into a file."""

    kind = PRODUCT_FILES
