from accounts.imports.customer_files import CUSTOMER_FILES
from core.imports.commands import ImportCommand


class Command(ImportCommand):
    """Customers out of a file."""

    kind = CUSTOMER_FILES
