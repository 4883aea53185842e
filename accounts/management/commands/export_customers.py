from accounts.imports.customers import CUSTOMER_FILES
from core.imports.commands import ExportCommand


class Command(ExportCommand):
    """Customers into a file."""

    kind = CUSTOMER_FILES
