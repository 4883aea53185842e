from accounts.imports.commands import ImportCommand
from catalog.imports.product_files import PRODUCT_FILES


class Command(ImportCommand):
    """Products out of a file."""

    kind = PRODUCT_FILES
