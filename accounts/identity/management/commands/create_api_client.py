from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.identity.operations.clients import create_api_client
from accounts.identity.scopes import SERVICE_SCOPES
from core.errors import DomainError
from core.tenancy.commands import tenant_named


class Command(BaseCommand):
    help = (
        "Create an API client of a tenant and print its id and its secret, which is never shown again. "
        "Example: create_api_client acme --scopes coupon.coupon_manage,customersegment.segment_manage. "
        "Scopes: " + ", ".join(SERVICE_SCOPES) + "."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="The tenant's name.")
        parser.add_argument("--client-id", default="", help="The client's id. Default: a generated one.")
        parser.add_argument("--name", default="", help="What people call the client.")
        scopes = parser.add_mutually_exclusive_group()
        scopes.add_argument("--scopes", default="", help="The scopes it may ask for, comma-separated.")
        scopes.add_argument("--all-scopes", action="store_true", help="It may ask for every scope.")
        parser.add_argument(
            "--storefront",
            action="store_true",
            help="It may start anonymous and customer sessions; without scopes it gets no secret.",
        )

    def handle(
        self,
        *,
        tenant: str,
        client_id: str,
        name: str,
        scopes: str,
        all_scopes: bool,
        storefront: bool,
        **options: object,
    ) -> None:
        found = tenant_named(tenant)
        named = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        if all_scopes:
            named = list(SERVICE_SCOPES)
        if not named and not storefront:
            raise CommandError("Name its --scopes, or say --all-scopes or --storefront.")
        try:
            client, secret = create_api_client(
                tenant=found,
                client_id=client_id,
                name=name,
                scopes=named,
                may_start_sessions=storefront,
                has_secret=bool(named),
                at=timezone.now(),
            )
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"client_id: {client.client_id}")
        if secret:
            self.stdout.write(f"client_secret: {secret}")
