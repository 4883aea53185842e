"""What /metrics tells of imports."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Count, Sum

from core.imports.models import ImportRun, ImportState
from core.observation.metrics import Reading, register_readings

OUTCOMES = ("created", "changed", "unchanged", "repeated", "removed", "refused")
WINDOW = timedelta(hours=24)


def read_imports(at: datetime) -> Iterator[Reading]:
    """Read the runs of the last 24 hours: they also come from commands, which nobody scrapes."""
    runs = ImportRun.objects.filter(started_at__gt=at - WINDOW, is_dry_run=False)
    runs = runs.exclude(state=ImportState.PREPARED).order_by()
    sums = runs.values("kind").annotate(**{f"all_{name}": Sum(name) for name in OUTCOMES})
    yield Reading(
        "import_rows",
        "Rows of the imports that began in the last 24 hours, by kind and outcome.",
        {(row["kind"], name): row[f"all_{name}"] for row in sums for name in OUTCOMES},
        ("kind", "outcome"),
    )
    states = dict.fromkeys(ImportState.values, 0) | dict(runs.values_list("state").annotate(Count("id")))
    yield Reading(
        "imports",
        "Imports that began in the last 24 hours, by state.",
        {(state,): count for state, count in states.items() if state != ImportState.PREPARED},
        ("state",),
    )


register_readings("imports", read_imports)
