import re
from collections import Counter
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from config.checks import (
    check_database_for_production,
    check_server_of_its_own,
    check_server_version,
    check_trusted_proxies,
    check_writable_folder,
)


@pytest.mark.parametrize(("version", "refused"), [((14, 12), True), ((15, 0), False), ((18, 4), False)])
def test_server_older_than_15_is_refused(monkeypatch, version, refused):
    monkeypatch.setattr(connection, "get_database_version", lambda: version)

    messages = check_server_version(databases=["default"])

    assert [message.id for message in messages] == (["config.E001"] if refused else [])


def test_refusal_says_which_server_is_needed(monkeypatch):
    monkeypatch.setattr(connection, "get_database_version", lambda: (13, 4))

    (message,) = check_server_version(databases=["default"])

    assert message.msg == "The database server is PostgreSQL 13."
    assert message.hint == "Let DATABASE_URL name a PostgreSQL 15 or newer."


def test_nothing_is_asked_of_a_database_that_the_command_does_not_use():
    assert check_server_version(databases=None) == []


@pytest.mark.parametrize(
    ("value", "found"), [(None, ["config.W001"]), ("", ["config.W001"]), ("0", []), ("1", [])]
)
def test_deployment_check_warns_until_somebody_has_said_how_many_proxies_there_are(monkeypatch, value, found):
    monkeypatch.delenv("TRUSTED_PROXIES", raising=False)
    if value is not None:
        monkeypatch.setenv("TRUSTED_PROXIES", value)
    assert [message.id for message in check_trusted_proxies()] == found


def test_deployment_check_warns_of_the_embedded_server(monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert [message.id for message in check_server_of_its_own()] == ["config.W002"]
    monkeypatch.setenv("DATABASE_URL", "postgres://db.example/segments")
    assert check_server_of_its_own() == []


def test_deployment_check_refuses_a_folder_that_cannot_be_written(settings, tmp_path, monkeypatch):
    settings.VAR_DIR = tmp_path / "not" / "yet"
    assert check_writable_folder() == []
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    [message] = check_writable_folder()
    assert (message.id, message.msg) == (
        "config.E002",
        f"VAR_DIR is {tmp_path}/not/yet, and this user cannot write to {tmp_path}.",
    )


@pytest.fixture
def facts(db, monkeypatch):
    """What PostgreSQL says of itself, as the test wants it."""

    def set_facts(**changed):
        found = {"is_superuser": False, "most": 97, "drift": 0.0, **changed}
        values = (
            f"SELECT 'segments', {found['is_superuser']}, {found['most']},"
            f" clock_timestamp() + interval '{found['drift']} seconds'"
        )
        monkeypatch.setattr("config.checks.FACTS", values)

    monkeypatch.setenv("WEB_WORKERS", "4")
    return set_facts


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"is_superuser": True}, ["config.W003"]),
        ({"most": 16}, ["config.W004"]),  # 4 workers with 3 threads and one more, and a background worker
        ({"most": 17}, []),
        ({"drift": 3.5}, ["config.W005"]),
        ({"drift": -3.5}, ["config.W005"]),
    ],
)
def test_deployment_check_looks_at_the_database(facts, changed, found):
    facts(**changed)
    assert [message.id for message in check_database_for_production(databases=["default"])] == found
    assert check_database_for_production(databases=None) == []


def test_deployment_check_counts_missing_migrations(facts):
    facts()
    MigrationRecorder.Migration.objects.filter(app="coupons").order_by("-id")[0].delete()
    [message] = check_database_for_production(databases=["default"])
    assert (message.id, message.msg) == ("config.W006", "1 migrations are not applied yet.")


def test_each_check_has_an_id_of_its_own():
    folders = [Path(one.path) for one in apps.get_app_configs()]
    own = [one for one in folders if one.is_relative_to(settings.BASE_DIR) and ".venv" not in one.parts]
    files = {file for folder in own for file in folder.rglob("*.py")}
    ids = Counter(found for file in files for found in re.findall(r'id="(\w+\.[EW]\d+)"', file.read_text()))
    assert len(ids) > 10
    assert [found for found, times in ids.items() if times > 1] == []
