from accounts.imports.commands import ExportCommand
from accounts.imports.customer_files import CUSTOMER_FILES


class Command(ExportCommand):
    """Customers into a file."""

    kind = CUSTOMER_FILES
