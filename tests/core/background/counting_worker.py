"""`manage.py work` with a kind of job that counts slowly, for tests that run it as a process of its own."""

import os
import sys
import time
from datetime import datetime, timedelta

import django

django.setup()

from accounts.identity.models import AttemptCounter  # noqa: E402
from config.command_line import CommandLine  # noqa: E402
from core.background.jobs import JobKind, register_job_kind  # noqa: E402
from core.background.models import Job, JobState  # noqa: E402
from core.background.tasks import Task, register_task  # noqa: E402


def count(job: Job, at: datetime) -> bool:
    """Write one row a slice; a slice that ran twice would meet its own row."""
    number = job.progress.get("done", 0) + 1
    AttemptCounter.objects.create(
        subject=f"{job.pk}-{number}", attempts=os.getpid(), resets_at=at + timedelta(days=1)
    )
    time.sleep(job.arguments["seconds"])
    job.progress = {"done": number}
    return number < job.arguments["upto"]


def mark(at: datetime) -> bool:
    """Write a row, beside a slow slice that is being done."""
    AttemptCounter.objects.create(subject="prompt", attempts=os.getpid(), resets_at=at + timedelta(days=1))
    return False


def slow_slice_since() -> datetime | None:
    slow = Job.objects.filter(state=JobState.RUNNING, arguments__seconds__gt=5).first()
    is_marked = AttemptCounter.objects.filter(subject="prompt").exists()
    return slow.started_at if slow and not is_marked else None


register_job_kind(JobKind("count", run=count))
register_task(Task("mark", run=mark, due_since=slow_slice_since, is_prompt=True))
CommandLine(["manage.py", "work", *sys.argv[1:]]).execute()
