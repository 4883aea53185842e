"""Whether the process lives, and whether it can serve."""

from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse


def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process lives."""
    return JsonResponse({"status": "up"})


def readiness(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers and all migrations are applied, else 503 with the reason."""
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return JsonResponse({"status": "down", "database": "not reachable"}, status=503)
    if missing:
        names = [f"{migration.app_label}.{migration.name}" for migration, _ in missing]
        return JsonResponse({"status": "down", "migrations": names}, status=503)
    return JsonResponse({"status": "up"})
