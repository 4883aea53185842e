"""Whether the process lives, and whether it can serve."""

import threading
import time
from collections.abc import Callable

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from catalog.tree_checks import bent_trees

SECONDS_BETWEEN_DEEP_CHECKS = 60


class OccasionalCheck:
    """A check that anybody may ask for and that is too dear to run each time: at most once a minute."""

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
    """Answer 200 while the process lives."""
    return JsonResponse({"status": "up"})


def readiness(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers and all migrations are applied, else 503 with the reason.

    With `deep=1` the category trees of all tenants must be sound too; that is looked at once a minute.
    """
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if missing:
            names = [f"{migration.app_label}.{migration.name}" for migration, _ in missing]
            return JsonResponse({"status": "down", "migrations": names}, status=503)
        bent = occasionally_bent_trees() if request.GET.get("deep") == "1" else []
    except Error:
        return JsonResponse({"status": "down", "database": "not reachable"}, status=503)
    if bent:
        return JsonResponse(
            {"status": "down", "categoryTrees": len(bent), "remedy": "manage.py check_category_tree --fix"},
            status=503,
        )
    return JsonResponse({"status": "up"})
