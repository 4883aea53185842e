from argparse import ArgumentParser
from datetime import UTC, datetime

from django.core.management.base import BaseCommand, CommandError

from accounts.bodies.sites import SiteCreation
from accounts.operations.sites import create_site
from core.bodies import read_body
from core.errors import DomainError
from core.tenancy.commands import tenant_named


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


class Command(BaseCommand):
    help = (
        "Create a site of a tenant, beside the default one that create_tenant makes. Segments belong to one"
        " site. Example: create_site acme outlet --name 'Acme Outlet' --languages de,fr --currency CHF"
        " --country CH --zip-code 8001 --timezone Europe/Zurich"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant's name.")
        parser.add_argument("code", help="The site's code, without blanks.")
        parser.add_argument("--name", default="", help="What people call the site. Default: its code.")
        parser.add_argument(
            "--languages", default="", help="Comma-separated; the default first. Default: the tenant's."
        )
        parser.add_argument("--currency", default="", help="Three letters. Default: the tenant's.")
        parser.add_argument("--country", required=True, help="Where the site is at home, two letters.")
        parser.add_argument("--zip-code", required=True, help="The postal code of its address.")
        parser.add_argument("--timezone", default="", help="Such as Europe/Berlin; the admin uses it.")
        parser.add_argument("--ship-to", default="", help="Countries, comma-separated. Default: --country.")
        parser.add_argument("--default", action="store_true", help="Make it the tenant's default site.")

    def handle(
        self,
        *,
        tenant: str,
        code: str,
        name: str,
        languages: str,
        currency: str,
        country: str,
        zip_code: str,
        timezone: str,
        ship_to: str,
        default: bool,
        **options: object,
    ) -> None:
        found = tenant_named(tenant)
        spoken = words(languages) or [
            found.default_language,
            *(one for one in found.languages if one != found.default_language),
        ]
        home_base: dict[str, object] = {"address": {"country": country, "zipCode": zip_code}}
        if timezone:
            home_base["timezone"] = timezone
        document = {
            "code": code,
            "name": name or code,
            "default": default,
            "defaultLanguage": spoken[0],
            "languages": spoken,
            "currency": currency or found.currency,
            "homeBase": home_base,
            "shipToCountries": words(ship_to) or [country],
        }
        try:
            body = read_body(SiteCreation, document)
            site = create_site(tenant_id=found.id, code=body.code, change=body.change(), at=datetime.now(UTC))
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        kind = "default site" if site.is_default else "site"
        self.stdout.write(f"Created the {kind} {site.code} of the tenant {tenant}.")
