import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.errors import TokenRequestRefused
from accounts.identity.models import (
    ApiClient,
    AttemptCounter,
    ClientSecret,
    RefreshToken,
    Session,
    SigningKey,
)
from accounts.identity.operations.clients import create_api_client, grant_service_token
from accounts.identity.operations.sessions import grant
from accounts.identity.scopes import SERVICE_SCOPES
from accounts.models import Site
from core.tenancy.models import Tenant
from tests.factories.accounts import ApiClientFactory, CustomerFactory, SessionFactory


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def secret_in(output: str) -> str:
    return re.search(r"client_secret: (\S{43})", output)[1]


def test_tenant_is_created_with_its_default_site(db):
    output = run(
        "create_tenant", "acme", "--title", "Acme Retail", "--languages", "en, de", "--currency", "CHF"
    )
    assert output == "Created the tenant acme with the default site main.\n"
    tenant = Tenant.objects.get()
    assert (tenant.title, tenant.languages, tenant.default_language) == ("Acme Retail", ["en", "de"], "en")
    site = Site.objects.get(tenant=tenant)
    assert (site.code, site.is_default, site.currency, site.languages) == ("main", True, "CHF", ["en", "de"])


@pytest.mark.parametrize(
    "words",
    [("Acme",), ("acme", "--languages", "german"), ("acme", "--languages", ","), ("acme", "--currency", "x")],
)
def test_faulty_tenant_is_refused(db, words):
    with pytest.raises(CommandError):
        run("create_tenant", *words)
    assert not Tenant.objects.exists()


def test_taken_tenant_name_is_refused(tenant):
    with pytest.raises(CommandError, match="The id acme is taken"):
        run("create_tenant", "acme")


def test_site_is_created_beside_the_default_one(tenant, site):
    words = (
        "create_site",
        "acme",
        "outlet",
        "--country",
        "CH",
        "--zip-code",
        "8001",
        "--timezone",
        "Europe/Zurich",
    )
    assert run(*words, "--languages", "de,fr", "--currency", "CHF", "--ship-to", "CH,LI") == (
        "Created the site outlet of the tenant acme.\n"
    )
    made = Site.objects.get(code="outlet")
    assert (made.tenant, made.name, made.is_default, made.is_active) == (tenant, "outlet", False, True)
    assert (made.languages, made.default_language, made.currency) == (["de", "fr"], "de", "CHF")
    assert made.home_base == {"address": {"country": "CH", "zipCode": "8001"}, "timezone": "Europe/Zurich"}
    assert made.ship_to_countries == ["CH", "LI"]
    with pytest.raises(CommandError, match="outlet"):
        run(*words)
    assert Site.objects.count() == 2


def test_site_takes_languages_and_currency_of_its_tenant_and_may_become_the_default(tenant, site):
    assert run("create_site", "acme", "new", "--country", "DE", "--zip-code", "10115", "--default") == (
        "Created the default site new of the tenant acme.\n"
    )
    made = Site.objects.get(is_default=True)
    assert (made.code, made.languages, made.currency) == ("new", tenant.languages, tenant.currency)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("nobody", "new", "--country", "DE", "--zip-code", "10115"), "no tenant nobody. `create_tenant`"),
        (("acme", "a b", "--country", "DE", "--zip-code", "10115"), "code"),
        (("acme", "new", "--country", "Germany", "--zip-code", "1"), "country"),
        (("acme", "new", "--country", "DE", "--zip-code", "10115", "--timezone", "Mars/One"), "timezone"),
        (("acme", "new", "--country", "DE", "--zip-code", "10115", "--currency", "x"), "currency"),
        (("acme", "new", "--country", "DE", "--zip-code", "10115", "--languages", "german"), "anguage"),
    ],
)
def test_faulty_site_is_refused_by_the_name_of_its_field(tenant, site, words, named):
    with pytest.raises(CommandError, match=named):
        run("create_site", *words)
    assert Site.objects.count() == 1


def test_client_is_created_and_its_secret_shown_once(tenant, stored_signing_keys):
    output = run("create_api_client", "acme", "--client-id", "backend", "--scopes", "coupon.coupon_manage")
    assert output.startswith("client_id: backend\n")
    secret = secret_in(output)
    granted = grant_service_token(
        client_id="backend", client_secret=secret, scope="", address="", at=timezone.now()
    )
    assert granted.scopes == ("coupon.coupon_manage",)
    assert not ClientSecret.objects.filter(digest__contains=secret).exists()


def test_client_may_get_all_scopes(tenant):
    run("create_api_client", "acme", "--client-id", "backend", "--all-scopes")
    assert ApiClient.objects.get().scopes == list(SERVICE_SCOPES)


def test_storefront_client_gets_no_secret(tenant):
    output = run("create_api_client", "acme", "--client-id", "shop", "--storefront")
    assert output == "client_id: shop\n"
    client = ApiClient.objects.get()
    assert client.may_start_sessions
    assert not client.secrets.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nobody", "--all-scopes"), "There is no tenant nobody"),
        (("acme",), "Name its --scopes"),
        (("acme", "--scopes", "coupon.everything"), "There is no scope coupon.everything"),
        (("acme", "--client-id", "a b", "--all-scopes"), "client_id must be 1 to 128 characters"),
        (("acme", "--client-id", "taken", "--all-scopes"), "The id taken is taken"),
    ],
)
def test_faulty_client_is_refused(tenant, words, message):
    ApiClientFactory(tenant=tenant, client_id="taken")
    with pytest.raises(CommandError, match=message):
        run("create_api_client", *words)
    assert ApiClient.objects.count() == 1


def test_secret_is_rotated_and_a_third_one_takes_the_place_of_the_oldest(tenant, stored_signing_keys, now):
    client, first = create_api_client(
        tenant=tenant, client_id="backend", scopes=[], at=now - timedelta(days=2)
    )
    second = secret_in(run("rotate_client_secret", "backend"))
    third = secret_in(run("rotate_client_secret", "backend"))
    assert ClientSecret.objects.count() == 2

    def is_good(secret):
        try:
            grant_service_token(
                client_id="backend", client_secret=secret, scope="", address="", at=timezone.now()
            )
        except TokenRequestRefused as refused:
            return refused.code
        return True

    assert [is_good(secret) for secret in (first, second, third)] == ["invalid_client", True, True]


def test_rotation_may_revoke_the_tokens_too(tenant):
    ApiClientFactory(tenant=tenant, client_id="backend")
    run("rotate_client_secret", "backend", "--keep-hours", "0", "--revoke-tokens")
    assert ApiClient.objects.get().tokens_not_before is not None


@pytest.mark.parametrize("words", [("nobody",), ("backend", "--keep-hours", "-1")])
def test_faulty_rotation_is_refused(tenant, words):
    ApiClientFactory(tenant=tenant, client_id="backend")
    with pytest.raises(CommandError):
        run("rotate_client_secret", *words)
    assert not ClientSecret.objects.exists()


def test_signing_keys_are_rotated(stored_signing_keys, key_pairs):
    output = run("rotate_signing_keys")
    assert output == f"Tokens are signed with the key {key_pairs[1].kid} from now on.\n"
    assert SigningKey.objects.get(status="active").kid == key_pairs[1].kid
    assert SigningKey.objects.get(status="retired").kid == key_pairs[0].kid


def test_what_is_over_is_purged(tenant, stored_signing_keys, now):
    old = SessionFactory(client__tenant=tenant, expires_at=now - timedelta(seconds=1))
    grant(old, at=now - timedelta(days=2))
    alive = SessionFactory(client__tenant=tenant)
    grant(alive, at=now - timedelta(days=2))
    grant(alive, at=now)
    AttemptCounter.objects.create(subject="a", attempts=1, resets_at=now - timedelta(seconds=1))
    AttemptCounter.objects.create(subject="b", attempts=1, resets_at=now + timedelta(hours=1))
    assert run("purge_sessions").splitlines() == [
        "sessions: deleted 1 sessions that have expired",
        "refresh-tokens: deleted 1 refresh tokens that have expired",
        "attempts: deleted 1 counters of attempts whose window is over",
        "admin-sessions: deleted 0 logins of the admin that have expired",
    ]
    assert list(Session.objects.all()) == [alive]
    assert RefreshToken.objects.get().session == alive
    assert AttemptCounter.objects.get().subject == "b"


@pytest.mark.parametrize(
    "command",
    [
        "create_tenant",
        "create_api_client",
        "rotate_client_secret",
        "rotate_signing_keys",
        "purge_sessions",
    ],
)
def test_help_says_what_the_command_does(command, capsys):
    with pytest.raises(SystemExit):
        call_command(command, "--help")
    assert len(capsys.readouterr().out) > 200


@pytest.mark.parametrize("name", ["C1", "ANN@example.com"])
def test_password_of_a_customer_is_set(tenant, monkeypatch, name):
    customer = CustomerFactory(tenant=tenant, external_id="C1", email="ann@example.com")
    monkeypatch.setattr("sys.stdin", StringIO("correct horse battery\n"))
    assert "Set the password" in run("set_customer_password", "acme", name)
    customer.refresh_from_db()
    assert customer.accepts_password("correct horse battery")
    assert customer.has_initial_password


@pytest.mark.parametrize(
    ("words", "password", "message"),
    [
        (("acme", "C2"), "correct horse battery", "The tenant acme has no customer C2."),
        (("globex", "C1"), "correct horse battery", "The tenant globex has no customer C1."),
        (("acme", "C1"), "short", "too short"),
    ],
)
def test_password_that_cannot_be_set_says_why(tenant, monkeypatch, words, password, message):
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    monkeypatch.setattr("sys.stdin", StringIO(password))
    with pytest.raises(CommandError, match=message):
        run("set_customer_password", *words)
    customer.refresh_from_db()
    assert customer.password == ""
