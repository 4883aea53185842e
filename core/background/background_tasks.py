"""What is deleted of the background work itself."""

from datetime import datetime, timedelta

from core.background.models import Job, JobState, Worker
from core.background.retention import Retention, delete_some, register_retention


def delete_jobs(before: datetime, most: int) -> int:
    ended = Job.objects.filter(state__in=[JobState.DONE, JobState.FAILED], finished_at__lt=before)
    return delete_some(ended.order_by("id"), most)


def delete_workers(before: datetime, most: int) -> int:
    return delete_some(Worker.objects.filter(seen_at__lt=before).order_by("seen_at"), most)


register_retention(
    Retention("jobs", "background jobs that have ended", timedelta(days=30), delete_jobs),
    Retention("workers", "signs of life of dead workers", timedelta(days=1), delete_workers),
)
