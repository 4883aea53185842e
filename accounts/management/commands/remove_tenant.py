from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, OperationalError

from accounts.operations.tenants import change_tenant
from core.tenancy.commands import tenant_named
from core.tenancy.removal import BATCH, remove_tenant_rows
from core.unavailability import failure_in_words


class Command(BaseCommand):
    help = (
        "Remove a tenant for good, with all its customers, segments, coupons, staff and everything else."
        " Asks first. The tenant is switched off at once, then its rows are deleted in batches; if that is"
        " stopped, run it again. Make a backup before. Example: remove_tenant acme"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant's name.")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument(
            "--batch-size", type=int, default=BATCH, metavar="N", help="rows of one transaction (%(default)s)"
        )

    def handle(self, *, tenant: str, yes: bool, batch_size: int, **options: object) -> None:
        found = tenant_named(tenant)
        if batch_size < 1:
            raise CommandError("--batch-size is a whole number from 1.")
        question = f"Remove the tenant {tenant} and everything that belongs to it? Type its name to confirm: "
        if not yes and input(question) != tenant:
            raise CommandError("Nothing was removed.")
        found.is_active = False
        change_tenant(tenant=found)
        counts: dict[str, int] = {}
        try:
            for removed in remove_tenant_rows(found.pk, batch=batch_size):
                if removed.table not in counts or removed.count // 100_000 > counts[removed.table] // 100_000:
                    self.stdout.write(f"{removed.table}: {removed.count:,} rows deleted so far")
                counts[removed.table] = removed.count
        except IntegrityError as error:
            raise CommandError("Somebody still writes to the tenant. Run it again.") from error
        except OperationalError as error:
            raise CommandError(failure_in_words(error)) from error
        self.stdout.write(f"Removed the tenant {tenant}: {sum(counts.values()):,} rows.")
