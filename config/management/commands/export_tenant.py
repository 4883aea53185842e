from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from config.tenant_archives import write_archive
from core.tenancy.commands import tenant_named


class Command(BaseCommand):
    help = (
        "Write a tenant with its sites, customers, companies, products, categories, segments, coupons and"
        " redemptions to one archive, which `manage.py import_tenant` takes elsewhere. Passwords, API"
        " clients, staff, the journal, and codes of campaigns and referrals are not in it; docs/tenants.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant's name.")
        parser.add_argument("archive", type=Path, help="The file to write, such as acme.zip.")

    def handle(self, *, tenant: str, archive: Path, **options: object) -> None:
        found = tenant_named(tenant)
        try:
            counts = write_archive(found, archive, at=timezone.now(), tell=self.stderr.write)
        except OSError as failed:
            raise CommandError(f"{archive} cannot be written: {failed.strerror}.") from failed
        self.stdout.write(f"Exported {sum(counts.values()):,} rows of {tenant} to {archive}.")
