from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.identity.operations.clients import create_api_client
from accounts.identity.scopes import SERVICE_SCOPES
from core.errors import DomainError
from core.tenancy.models import Tenant


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

    def handle(self, **options: Any) -> None:
        tenant = Tenant.objects.filter(name=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']}; create_tenant makes one.")
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        if options["all_scopes"]:
            scopes = list(SERVICE_SCOPES)
        if not scopes and not options["storefront"]:
            raise CommandError("Name its --scopes, or say --all-scopes or --storefront.")
        try:
            client, secret = create_api_client(
                tenant=tenant,
                client_id=options["client_id"],
                name=options["name"],
                scopes=scopes,
                may_start_sessions=options["storefront"],
                has_secret=bool(scopes),
                at=timezone.now(),
            )
        except DomainError as refused:
            raise CommandError(refused.message) from refused
        self.stdout.write(f"client_id: {client.client_id}")
        if secret:
            self.stdout.write(f"client_secret: {secret}")
