from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from core.errors import DomainError
from core.timestamps import parse_time
from events.management.targets import target_of
from events.operations.deliveries import replay_deliveries


class Command(BaseCommand):
    help = (
        "Send a webhook target once more what happened since an instant. Events keep their ids, so that"
        " receivers know those that they have. Background workers send them."
        " Example: replay_deliveries default --tenant acme --since 2026-03-01T08:00:00Z --only-failed"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", help="the target's id, name or event type; default for the default one")
        parser.add_argument("--tenant", required=True, help="the tenant's name")
        parser.add_argument("--since", required=True, metavar="INSTANT", help="such as 2026-03-01T08:00:00Z")
        parser.add_argument("--until", metavar="INSTANT", help="up to this instant (now)")
        parser.add_argument("--only-failed", action="store_true", help="only deliveries that were given up")

    def handle(
        self, *, target: str, tenant: str, since: str, until: str | None, only_failed: bool, **options: object
    ) -> None:
        try:
            count = replay_deliveries(
                target=target_of(tenant, target),
                since=parse_time(since, field="--since"),
                until=parse_time(until, field="--until") if until else None,
                only_failed=only_failed,
                at=timezone.now(),
            )
        except DomainError as refused:
            raise CommandError(refused.message) from None
        self.stdout.write(f"{count:,} events are sent again.")
