"""The background task that reads feeds."""

from django.utils import timezone

from core.background.tasks import Task, register_task
from events.feed.purging import purge_waiting_since, send_purges
from events.feed.reader import read_feeds, waiting_since

register_task(
    Task("read feeds", run=read_feeds, due_since=lambda: waiting_since(timezone.now()), is_prompt=True)
)
register_task(Task("purge caches", run=send_purges, due_since=purge_waiting_since))
