from argparse import ArgumentParser
from dataclasses import asdict

import orjson
from django.core.management.base import BaseCommand

from core.tenancy.commands import tenant_named
from core.tenancy.models import Tenant
from core.tenancy.usage import usage_of


class Command(BaseCommand):
    help = (
        "Show how many rows a tenant has in each table, and their bytes without indexes; without a name the"
        " sums of all tenants. It reads all their rows. Example: tenant_usage acme"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", nargs="?", default="", help="The tenant's name. Default: all of them.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, *, tenant: str, json: bool, **options: object) -> None:
        tenants = [tenant_named(tenant)] if tenant else list(Tenant.objects.all())
        found = {one.name: list(usage_of(one)) for one in tenants}
        if json:
            usages = {name: [asdict(usage) for usage in tables] for name, tables in found.items()}
            self.stdout.write(orjson.dumps(usages).decode())
            return
        if tenant:
            for usage in found[tenant]:
                self.stdout.write(f"{usage.table:<40}{usage.rows:>14,}{usage.bytes:>18,}")
        for name, tables in found.items():
            rows, size = sum(one.rows for one in tables), sum(one.bytes for one in tables)
            self.stdout.write(f"{name:<40}{rows:>14,}{size:>18,}")
