from argparse import ArgumentParser
from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.identity.models import ApiClient
from accounts.identity.operations.clients import revoke_client_tokens, rotate_client_secret


class Command(BaseCommand):
    help = (
        "Give an API client a new secret and print it; it is never shown again. The former secret stays good "
        "for a while, so that programs can be changed over. "
        "Example: rotate_client_secret backend --keep-hours 24"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("client_id", help="The client's id.")
        parser.add_argument(
            "--keep-hours",
            type=float,
            default=24,
            help="How long the former secret stays good. 0 ends it at once. Default: 24.",
        )
        parser.add_argument(
            "--revoke-tokens", action="store_true", help="Refuse all tokens that the client has, too."
        )

    def handle(self, *, client_id: str, keep_hours: float, revoke_tokens: bool, **options: object) -> None:
        client = ApiClient.objects.filter(client_id=client_id).first()
        if client is None:
            raise CommandError(f"There is no client {client_id}.")
        if not 0 <= keep_hours <= 24 * 365:
            raise CommandError("--keep-hours is a number from 0 to 8760.")
        at = timezone.now()
        secret = rotate_client_secret(client=client, at=at, keep_others_for=timedelta(hours=keep_hours))
        if revoke_tokens:
            revoke_client_tokens(client=client, at=at)
        self.stdout.write(f"client_secret: {secret}")
