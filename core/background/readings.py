"""What /metrics tells of the background work."""

from collections.abc import Iterator
from datetime import datetime

from django.db.models import Count

from core.background.lag import background_lag
from core.background.models import Job, JobState
from core.observation.metrics import Reading, register_readings


def read_background(at: datetime) -> Iterator[Reading]:
    lag = background_lag(at)
    waited = (at - lag.oldest_due).total_seconds() if lag.oldest_due else 0.0
    yield Reading.single(
        "worker_lag_seconds", "How long the oldest due background work has waited.", max(waited, 0.0)
    )
    if lag.last_heartbeat is not None:
        yield Reading.single(
            "worker_heartbeat_age_seconds",
            "Time since a background worker was last seen; absent when none ever was.",
            max((at - lag.last_heartbeat).total_seconds(), 0.0),
        )
    yield Reading.single(
        "worker_failing_tasks", "Background tasks whose last attempt failed.", len(lag.failing_tasks)
    )
    counts = dict.fromkeys(JobState.values, 0) | dict(
        Job.objects.order_by().values_list("state").annotate(Count("id"))
    )
    yield Reading("jobs", "Jobs by state.", {(state,): count for state, count in counts.items()}, ("state",))


register_readings("background", read_background)
