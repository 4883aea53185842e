"""What the background worker does for webhooks: it sends events, and deletes old ones."""

from datetime import datetime, timedelta

from django.conf import settings

from core.background.retention import Retention, delete_some, register_retention
from core.background.tasks import Task, register_task
from events.delivering import dispatcher, due_since
from events.feed.pages import delete_events
from events.models import Lane, SendingByHand


def delete_lanes(before: datetime, most: int) -> int:
    """Delete lanes in which nothing waits; they are made again when something does."""
    return delete_some(Lane.objects.filter(due_at__isnull=True).order_by("pk"), most)


def delete_sendings(before: datetime, most: int) -> int:
    """Delete what was sent by hand; the history keeps it."""
    return delete_some(SendingByHand.objects.filter(asked_at__lt=before).order_by("pk"), most)


register_task(
    Task("send events", run=dispatcher.run, due_since=due_since, finish=dispatcher.finish, is_prompt=True)
)
register_retention(
    Retention(
        "events", "events and their deliveries", timedelta(days=settings.EVENTS_KEPT_DAYS), delete_events
    ),
    Retention("sendings", "what was sent to webhook targets by hand", timedelta(days=30), delete_sendings),
    Retention("lanes", "empty lanes of webhook targets", timedelta(), delete_lanes),
)
