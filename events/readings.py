"""What /metrics tells of webhooks."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count, Min

from core.observation.metrics import Reading, register_readings
from events.models import Delivery, DeliveryState, FeedPosition, Target


def read_deliveries(at: datetime) -> Iterator[Reading]:
    waiting = Delivery.objects.filter(state=DeliveryState.PENDING).aggregate(
        count=Count("id"), oldest=Min("event__occurred_at")
    )
    yield Reading.single("deliveries_waiting", "Events that wait to be delivered.", waiting["count"])
    yield Reading.single(
        "delivery_lag_seconds",
        "Age of the oldest event that waits to be delivered.",
        max((at - waiting["oldest"]).total_seconds(), 0.0) if waiting["oldest"] else 0.0,
    )
    read_at = FeedPosition.objects.aggregate(oldest=Min("read_at"))["oldest"]
    yield Reading.single(
        "feed_lag_seconds",
        "Time since the journal was last read for the tenant that has waited longest for it.",
        max((at - read_at).total_seconds(), 0.0) if read_at else 0.0,
    )
    yield Reading.single("webhook_targets", "Targets of webhooks.", Target.objects.count())


register_readings("events", read_deliveries)
