import json

import pytest
from django.db import OperationalError, connection

from config.health import readiness

pytestmark = pytest.mark.django_db


@pytest.fixture
def primary_only(monkeypatch):
    options = {**connection.settings_dict["OPTIONS"], "target_session_attrs": "read-write"}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)


def ready(rf) -> tuple[int, dict]:
    response = readiness(rf.get("/readyz"))
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


@pytest.mark.parametrize(
    ("error", "reason"),
    [("connection failed: session is read-only", "read-only"), ("connection refused", "not reachable")],
)
def test_a_database_that_takes_no_connection_is_not_ready(rf, primary_only, monkeypatch, error, reason):
    def refuse() -> None:
        raise OperationalError(error)

    monkeypatch.setattr(connection, "is_read_only", refuse)
    assert ready(rf) == (503, {"status": "down", "database": reason})
