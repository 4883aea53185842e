from catalog.imports.products import PRODUCT_FILES
from core.imports.commands import ImportCommand


class Command(ImportCommand):
    """Products out of a file."""

    kind = PRODUCT_FILES
