from argparse import ArgumentParser

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.operations.tenants import create_tenant
from core.errors import DomainError


class Command(BaseCommand):
    help = (
        "Create a tenant with its default site. Example: "
        "create_tenant acme --title 'Acme Retail' --languages en,de --currency EUR"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="3 to 16 lower-case letters and digits, the first a letter.")
        parser.add_argument("--title", default="", help="What people call the tenant.")
        parser.add_argument(
            "--languages",
            default="en",
            help="The languages of its texts, comma-separated; the default first.",
        )
        parser.add_argument("--currency", default="EUR", help="Three letters (ISO 4217). Default: EUR.")
        parser.add_argument("--site", default="main", help="The code of the default site. Default: main.")

    def handle(self, **options: str) -> None:
        languages = [language.strip() for language in options["languages"].split(",") if language.strip()]
        if not languages:
            raise CommandError("Name at least one language.")
        try:
            tenant = create_tenant(
                name=options["name"],
                title=options["title"],
                languages=languages,
                default_language=languages[0],
                currency=options["currency"],
                site_code=options["site"],
                at=timezone.now(),
            )
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        except ValidationError as refused:
            raise CommandError("; ".join(refused.messages)) from refused
        self.stdout.write(f"Created the tenant {tenant.name} with the default site {options['site']}.")
