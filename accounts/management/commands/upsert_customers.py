from accounts.imports.commands import ImportCommand
from accounts.imports.customer_files import CUSTOMER_FILES


class Command(ImportCommand):
    """Customers out of a file."""

    kind = CUSTOMER_FILES
