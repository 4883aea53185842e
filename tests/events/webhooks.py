"""A tenant with webhooks, whose events are queued and sent by hand."""

from collections.abc import Sequence

from django.utils import timezone

from core.tenancy.models import Tenant
from events.delivering import Dispatcher
from events.models import Delivery, Event, Target
from events.operations import add_deliveries
from tests.factories.events import EventFactory, TargetFactory, WebhookConfigFactory


class Webhooks:
    """The webhooks of a tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.dispatcher = Dispatcher()
        WebhookConfigFactory(tenant=tenant)

    def target(self, url: str, **values: object) -> Target:
        made: Target = TargetFactory(tenant=self.tenant, destination_url=url, **values)
        return made

    def happen(
        self, *targets: Target, count: int = 1, order_key: str = "segment gold", **values: object
    ) -> list[Event]:
        """Make events and queue them for the targets."""
        events = [
            EventFactory(tenant=self.tenant, order_key=order_key, occurred_at=timezone.now(), **values)
            for _ in range(count)
        ]
        rows = [(event.pk, target.pk, order_key) for event in events for target in targets]
        add_deliveries(tenant_id=self.tenant.pk, rows=rows, at=timezone.now())
        return events

    def send(self) -> None:
        """Send all that is due, and what that makes due."""
        while self.dispatcher.run(timezone.now()) or self.dispatcher.in_flight:
            pass

    def states(self, target: Target) -> list[str]:
        return list(Delivery.objects.filter(target=target).order_by("event").values_list("state", flat=True))


def ids(events: Sequence[Event]) -> list[str]:
    return [event.external_id for event in events]
