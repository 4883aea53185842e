"""The demo shop's published logins: refused at the start of production, and closed by one command."""

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError, call_command

from accounts.identity.models import ApiClient, ClientSecret, Session
from accounts.identity.tokens.opaque import digest_of
from accounts.models import Customer, User
from config.demo.checks import check_published_logins
from config.demo.logins import close_published_logins, published_logins
from config.demo.shop import Names, make_clients, make_staff
from config.server.management.commands import serve
from core.tenancy.models import Tenant
from tests.factories.accounts import CustomerFactory, SessionFactory, TenantFactory

AT = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)


def household(tenant: Tenant, number: int, **values: object) -> Customer:
    return CustomerFactory(tenant=tenant, email=f"household-{number}@example.com", **values)


@pytest.fixture
def shop(db: None) -> Tenant:
    """A demo shop in another tenant than the usual one, with all that can be logged in with."""
    tenant = TenantFactory(name="shop2")
    make_clients(tenant, Names("shop2"), AT)
    make_staff(tenant, Names("shop2"))
    shared = make_password("demo")
    for number in (1, 2):
        household(tenant, number, password=shared)
    household(tenant, 3, password=make_password("another password"))
    household(tenant, 4)
    CustomerFactory(tenant=tenant, email="jane@shop.example", password=shared)
    return tenant


ALL = (
    "staff admin/admin, staff shop2-merchandiser/shop2-merchandiser,"
    " API client shop2-backend with the secret shop2-backend-secret, 2 customers with the password demo"
)


def test_published_logins_that_work_are_found(shop):
    assert str(published_logins(AT)) == ALL


def test_changed_logins_are_not_published(shop):
    User.objects.filter(username="admin").update(password=make_password("another password"))
    User.objects.filter(username="shop2-merchandiser").update(is_active=False)
    ClientSecret.objects.update(expires_at=AT)
    Customer.objects.filter(email="household-1@example.com").update(password=make_password("another"))
    assert str(published_logins(AT)) == "1 customers with the password demo"
    Customer.objects.update(password="")
    assert not published_logins(AT)


def test_secret_of_a_client_that_was_rotated_is_not_published(shop):
    ClientSecret.objects.update(digest=digest_of("another secret"))
    assert published_logins(AT).secrets == []
    ClientSecret.objects.update(digest=digest_of("shop2-backend-secret"))
    ApiClient.objects.update(is_active=False)
    assert published_logins(AT).secrets == []


def test_closing_takes_passwords_secrets_sessions_and_tokens_away(shop):
    of_household, of_other = (
        SessionFactory(client__tenant=shop, customer=Customer.objects.get(email=email))
        for email in ("household-1@example.com", "jane@shop.example")
    )
    out = StringIO()
    call_command("close_demo_logins", stdout=out)
    assert out.getvalue() == f"These logins no longer work: {ALL}.\n"
    assert not published_logins(AT)
    assert not User.objects.get(username="admin").has_usable_password()
    assert not ClientSecret.objects.exists()
    assert ApiClient.objects.get(client_id="shop2-backend").tokens_not_before > AT
    assert Session.objects.get(pk=of_household.pk).revoked_at is not None
    assert Session.objects.get(pk=of_other.pk).revoked_at is None
    with_password = Customer.objects.exclude(password="").values_list("email", flat=True)
    assert sorted(with_password) == ["household-3@example.com", "jane@shop.example"]
    again = StringIO()
    call_command("close_demo_logins", stdout=again)
    assert again.getvalue() == "None of the demo shop's published logins works.\n"


def test_serve_refuses_published_logins_and_says_what_to_do(shop):
    with pytest.raises(CommandError) as refused:
        serve.Command()._refuse_published_logins()
    assert ALL in str(refused.value)
    assert "manage.py close_demo_logins" in str(refused.value)
    close_published_logins(published_logins(AT), at=AT + timedelta(seconds=1))
    serve.Command()._refuse_published_logins()


class Served(Exception):
    """The command has come to the point where it becomes the server."""


@pytest.mark.parametrize(
    ("debug", "words", "outcome"),
    [
        (False, [], CommandError),
        (False, ["--demo"], CommandError),
        (False, ["--insecure-demo-logins"], Served),
        (True, [], Served),
    ],
)
def test_serve_starts_with_published_logins_only_in_development_or_when_told_to(
    shop, settings, tmp_path, monkeypatch, debug, words, outcome
):
    def become_server(*words: object) -> None:
        raise Served

    settings.DEBUG, settings.VAR_DIR = debug, tmp_path
    for name in ("require_free_port", "collect_static_files"):
        monkeypatch.setattr(serve, name, lambda *arguments: None)
    monkeypatch.setattr(serve.connections, "close_all", lambda: None)
    monkeypatch.setattr(serve.Command, "_compile", lambda command: None)
    monkeypatch.setattr(serve.os, "execv", become_server)
    with pytest.raises(outcome):
        call_command("serve", *words)


def test_deployment_check_refuses_published_logins(shop, settings):
    (message,) = check_published_logins(databases=["default"])
    assert (message.id, ALL in message.msg) == ("config.E004", True)
    assert "close_demo_logins" in message.hint
    assert check_published_logins(databases=None) == []
    settings.DEBUG = True
    assert check_published_logins(databases=["default"]) == []
