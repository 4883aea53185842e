"""How far the background work lags behind, in one cheap look."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Min

from core.background.jobs import registered_job_kinds
from core.background.models import OPEN_STATES, Job, TaskState, Worker
from core.background.tasks import registered_tasks
from core.background.worker import waiting_since


@dataclass(frozen=True, slots=True)
class Lag:
    """When a worker was last seen, and since when what has waited longest has waited."""

    last_heartbeat: datetime | None
    oldest_due: datetime | None
    failing_tasks: tuple[str, ...]


def background_lag(at: datetime) -> Lag:
    """Return the lag at `at`; it takes a few indexed look-ups."""
    tasks = registered_tasks()
    oldest = [
        Job.objects.filter(state__in=OPEN_STATES, kind__in=registered_job_kinds(), due_at__lte=at).aggregate(
            oldest=Min("due_at")
        )["oldest"]
    ]
    failing = []
    for state in TaskState.objects.filter(name__in=tasks):
        if state.error:
            failing.append(state.name)
        if state.due_at <= at:
            oldest.append(waiting_since(tasks[state.name], state.due_at))
    return Lag(
        last_heartbeat=Worker.objects.aggregate(last=Max("seen_at"))["last"],
        oldest_due=min(filter(None, oldest), default=None),
        failing_tasks=tuple(sorted(failing)),
    )
