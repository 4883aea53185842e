import pytest
from django.db import connection

from config.checks import check_server_version, check_trusted_proxies


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
