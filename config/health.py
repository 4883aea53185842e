"""Whether the process lives, and whether it can serve."""

import threading
import time
from collections.abc import Callable
from datetime import datetime

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from catalog.tree_checks import bent_trees
from config.server.postgres.base import DatabaseWrapper
from core.background.lag import background_lag
from core.timestamps import format_time
from segments.models import Rule
from segments.rules.readings import rule_lag

SECONDS_BETWEEN_DEEP_CHECKS = 60


class OccasionalCheck:
    """A check that anybody may ask for and that is too costly to run each time: at most once a minute."""

    def __init__(self, check: Callable[[], list[str]]) -> None:
        self.check = check
        self.lock = threading.Lock()
        self.found: list[str] = []
        self.due_at = 0.0

    def __call__(self) -> list[str]:
        """Return what the last check found; check again when that was some time ago."""
        with self.lock:
            if time.monotonic() >= self.due_at:
                self.found = self.check()
                self.due_at = time.monotonic() + SECONDS_BETWEEN_DEEP_CHECKS
            return self.found


occasionally_bent_trees = OccasionalCheck(bent_trees)


def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process lives. The project's own web server answers it without Django."""
    return JsonResponse({"status": "up"})


def readiness(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database accepts writes and all migrations are applied, else 503 with the reason.

    A process that is meant for a replica (`target_session_attrs=any` in its DATABASE_URL) need not write.
    With `deep=1` the category trees of all tenants must be sound too; that is looked at once a minute. The
    response then also says how far the background work lags behind. That makes no server unready: other
    servers would lag no less.
    The project's own web server answers 503 when this takes longer than 2 seconds.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        if isinstance(connection, DatabaseWrapper) and connection.needs_primary and connection.is_read_only():
            return down(database="read-only")
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            return down(migrations=[f"{migration.app_label}.{migration.name}" for migration, _ in missing])
        is_deep = request.GET.get("deep") == "1"
        bent = occasionally_bent_trees() if is_deep else []
        background = {"background": background_state(timezone.now())} if is_deep else {}
    except Error as error:
        return down(database="read-only" if "session is read-only" in str(error) else "not reachable")
    if bent:
        return down(categoryTrees=len(bent), remedy="manage.py check_category_tree --fix", **background)
    return JsonResponse({"status": "up", **background})


def background_state(at: datetime) -> dict[str, object]:
    """Return the lag of the background work as operators read it; times are absent where nothing happened."""
    lag = background_lag(at)
    return {
        "lastHeartbeat": lag.last_heartbeat and format_time(lag.last_heartbeat),
        "oldestDue": lag.oldest_due and format_time(lag.oldest_due),
        "lagSeconds": max(0, round((at - lag.oldest_due).total_seconds())) if lag.oldest_due else 0,
        "failingTasks": lag.failing_tasks,
        "rules": rules_state(at),
    }


def rules_state(at: datetime) -> dict[str, object]:
    """Return how far rules lag behind the changes of customers, and what their daily audits found."""
    lag = rule_lag(at)
    return {
        "lagSeconds": round(lag.seconds),
        "failed": lag.states[Rule.State.FAILED],
        "evaluating": lag.states[Rule.State.PENDING] + lag.states[Rule.State.EVALUATING],
        "drift": lag.drift,
    }


def down(**reason: object) -> JsonResponse:
    return JsonResponse({"status": "down", **reason}, status=503)
