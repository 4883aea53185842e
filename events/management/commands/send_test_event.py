import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from events.management.targets import target_of
from events.models import DeliveryState
from events.operations.deliveries import send_test_event

STEP = 0.2  # seconds


class Command(BaseCommand):
    help = (
        "Send a test event (webhook.test) to a webhook target and wait for the answer, which a background"
        " worker gets. Exit status 1 when it did not arrive."
        " Example: send_test_event default --tenant acme"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", help="the target's id, name or event type; default for the default one")
        parser.add_argument("--tenant", required=True, help="the tenant's name")
        parser.add_argument("--wait", type=int, default=20, metavar="SECONDS", help="for the answer (20)")

    def handle(self, *, target: str, tenant: str, wait: int, **options: object) -> None:
        delivery = send_test_event(target=target_of(tenant, target), at=timezone.now())
        end = time.monotonic() + max(wait, 0)
        while delivery.state == DeliveryState.PENDING and not delivery.attempts and time.monotonic() < end:
            time.sleep(STEP)
            delivery.refresh_from_db()
        if delivery.state == DeliveryState.DELIVERED:
            self.stdout.write(f"The test event arrived: the target answered {delivery.last_status}.")
        elif delivery.attempts or delivery.state != DeliveryState.PENDING:
            raise CommandError(f"The test event did not arrive. {delivery.last_error}")
        else:
            raise CommandError(
                f"Nobody has sent the test event within {wait} s. Is a background worker running"
                " (manage.py work)? It is sent as soon as one does."
            )
