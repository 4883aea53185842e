import json
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from config.health import readiness
from core.background.models import TaskState, Worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def primary_only(monkeypatch):
    options = {**connection.settings_dict["OPTIONS"], "target_session_attrs": "read-write"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)


def ready(rf, **query: str) -> tuple[int, dict]:
    response = readiness(rf.get("/readyz", query))
    return response.status_code, json.loads(response.content)


def test_a_database_that_accepts_writes_is_ready(rf, primary_only):
    assert ready(rf) == (200, {"status": "up"})


def test_a_read_only_database_is_not_ready(rf, primary_only):
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    assert ready(rf) == (503, {"status": "down", "database": "read-only"})


def test_a_process_for_a_replica_is_ready_on_a_read_only_database(rf):
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    assert ready(rf) == (200, {"status": "up"})


def test_the_deep_look_shows_how_far_the_background_work_lags(rf, now):
    rules = {"lagSeconds": 0, "failed": 0, "evaluating": 0, "drift": 0}
    nothing = {
        "lastHeartbeat": None,
        "oldestDue": None,
        "lagSeconds": 0,
        "failingTasks": [],
        "rules": rules,
    }
    assert ready(rf, deep="1") == (200, {"status": "up", "background": nothing})
    seen = now - timedelta(seconds=90)
    Worker.objects.create(name="host:1", started_at=seen, seen_at=seen)
    TaskState.objects.create(name="purge jobs", due_at=now - timedelta(minutes=5))
    TaskState.objects.create(name="purge runs", due_at=now + timedelta(minutes=5), error="KeyError: 'a'")
    TaskState.objects.create(name="of a former version", due_at=now - timedelta(days=5))
    assert ready(rf, deep="1") == (
        200,
        {
            "status": "up",
            "background": {
                "lastHeartbeat": "2026-03-04T09:28:45.250Z",
                "oldestDue": "2026-03-04T09:25:15.250Z",
                "lagSeconds": 300,
                "failingTasks": ["purge runs"],
                "rules": rules,
            },
        },
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [("connection failed: session is read-only", "read-only"), ("connection refused", "not reachable")],
)
def test_a_database_that_takes_no_connection_is_not_ready(rf, primary_only, monkeypatch, error, reason):
    def refuse() -> None:
        raise OperationalError(error)

    monkeypatch.setattr(connection, "is_read_only", refuse)
    assert ready(rf) == (503, {"status": "down", "database": reason})
