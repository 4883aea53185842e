"""The commands that manage the embedded server and the web server; servers of their own folder only."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from accounts.identity.models import SigningKey
from accounts.identity.tokens.keys import UNREADABLE_KEY, UNREADABLE_KEY_REMEDY, create_first_keys
from config.server.embedded_postgres.base import DatabaseWrapper
from config.server.embedded_postgres.server import EmbeddedServer
from config.server.management.commands import pg, serve


def output_of(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue().strip()


@pytest.fixture
def embedded(folder, refuge, settings, monkeypatch) -> EmbeddedServer:
    """The server of a folder of its own, in the place of the suite's."""
    settings.VAR_DIR = folder
    server = EmbeddedServer(data=folder / "pg-test", profile="test")
    connection = connections["default"]
    if not isinstance(connection, DatabaseWrapper):
        connection = DatabaseWrapper(
            {
                **connection.settings_dict,
                "OPTIONS": {},
                "EMBEDDED": {"data": server.wanted, "profile": "test"},
            }
        )
    monkeypatch.setattr(connection, "server", server)
    monkeypatch.setattr(pg, "connections", {"default": connection})
    return server


def test_status_says_where_the_first_connection_will_create_the_database(embedded):
    expected = f"There is no database yet; the first connection creates it ({embedded.wanted})."
    assert output_of("pg", "status") == expected


def test_start_and_stop_follow_the_server_through_its_life(embedded):
    started = output_of("pg", "start").splitlines()
    places = embedded.places

    assert started == [
        f"state: running as process {embedded.pid}",
        f"data: {places.data}",
        f"socket: {places.sockets}",
        f"user: {places.account.name if places.account else 'the present user'}",
    ]
    assert output_of("stop") == "Stopped: PostgreSQL (test)."
    assert embedded.pid == 0
    assert output_of("pg", "status").splitlines()[0] == "state: stopped"
    assert output_of("pg", "stop") == "PostgreSQL was not running."
    assert output_of("stop") == "Stopped: nothing, nothing was running."


def test_managing_the_embedded_server_is_refused_when_the_url_names_another(monkeypatch):
    monkeypatch.setattr(pg, "connections", {"default": object()})

    with pytest.raises(CommandError, match="^DATABASE_URL names a server of your own"):
        output_of("pg", "status")


@pytest.mark.django_db
def test_demo_shop_is_loaded_until_a_load_has_been_finished_once(tmp_path, settings, monkeypatch):
    settings.VAR_DIR = tmp_path
    loads = []

    def load(name: str, stdout: object, insecure_demo_logins: bool) -> None:
        loads.append(name)
        serve.Tenant.objects.get_or_create(name="demo")
        if len(loads) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(serve, "call_command", load)
    with pytest.raises(KeyboardInterrupt):
        serve.Command()._load_demo()
    serve.Command()._load_demo()
    serve.Command()._load_demo()

    assert loads == ["load_demo_data", "load_demo_data"]


@pytest.mark.django_db
def test_serve_refuses_a_secret_key_that_no_token_can_be_signed_with(tmp_path, settings, monkeypatch):
    settings.VAR_DIR = tmp_path
    monkeypatch.setattr(serve, "require_free_port", lambda *arguments: None)
    SigningKey.objects.all().delete()
    create_first_keys()
    settings.SECRET_KEY = "another secret key that is long enough to be taken for a real one"

    with pytest.raises(CommandError) as refused:
        call_command("serve")

    assert str(refused.value) == f"{UNREADABLE_KEY} {UNREADABLE_KEY_REMEDY}"
