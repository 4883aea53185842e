from argparse import ArgumentParser

from accounts.imports.customers import CUSTOMER_FILES, CUSTOMER_FILES_WITH_ERASED
from core.imports.commands import ImportCommand


class Command(ImportCommand):
    """Customers out of a file."""

    kind = CUSTOMER_FILES

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--allow-erased",
            action="store_true",
            help="create customers although their number or e-mail has been erased",
        )

    def handle(self, *, file: str, tenant: str, **options: object) -> None:
        if options.pop("allow_erased"):
            self.kind = CUSTOMER_FILES_WITH_ERASED  # type: ignore[misc]
        super().handle(file=file, tenant=tenant, **options)
