"""Logins of staff through a local OpenID provider, and with one-time passwords."""

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import User
from accounts.totp.models import RecoveryCodes
from core.tenancy.models import Tenant
from tests.factories.accounts import UserFactory
from tests.staff_login.provider import Provider

PAGE = "/admin/segments/segment/"


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    found = Provider()
    settings.OIDC_ISSUER = found.address
    settings.OIDC_OP_AUTHORIZATION_ENDPOINT = f"{found.address}/authorize"
    settings.OIDC_OP_TOKEN_ENDPOINT = f"{found.address}/token"
    settings.OIDC_OP_USER_ENDPOINT = f"{found.address}/userinfo"
    settings.OIDC_OP_JWKS_ENDPOINT = f"{found.address}/keys"
    yield found
    found.stop()


@pytest.fixture
def ada(tenant: Tenant) -> User:
    return UserFactory(username="ada", email="Ada@example.com", tenant=tenant, is_superuser=True)


def log_in_through(provider: Provider, browser: Client, wanted: str = PAGE) -> HttpResponse:
    """Follow the redirects of a browser: to the provider, and back with a code."""
    start = browser.get("/admin/oidc/authenticate/", {"next": wanted})
    assert start["Location"].startswith(f"{provider.address}/authorize?")
    back = urlsplit(requests.get(start["Location"], allow_redirects=False, timeout=10).headers["Location"])
    assert back.path == "/admin/oidc/callback/"
    return browser.get(f"{back.path}?{back.query}")


def test_the_login_page_offers_the_provider(client: Client, db: None) -> None:
    page = client.get("/admin/login/", {"next": PAGE}).content.decode()
    assert f'href="/admin/oidc/authenticate/?next={PAGE}">Log in with Example ID</a>' in page


def test_staff_log_in_through_the_provider(provider: Provider, ada: User, client: Client) -> None:
    response = log_in_through(provider, client)
    assert (response.status_code, response["Location"]) == (302, PAGE)
    assert client.get(PAGE).status_code == 200
    assert int(client.session["_auth_user_id"]) == ada.pk


def test_a_login_through_the_provider_leads_to_a_page(provider: Provider, ada: User, client: Client) -> None:
    assert log_in_through(provider, client, "/admin/no/such/page/")["Location"] == "/admin/"


@pytest.mark.parametrize(
    ("claims", "token"),
    [
        ({"email": "nobody@example.com"}, {}),
        ({"email_verified": False}, {}),
        ({"email_verified": None}, {}),
        ({"email": ""}, {}),
        ({"sub": "2"}, {}),
        ({}, {"nonce": "another"}),
        ({}, {"aud": "another client"}),
        ({}, {"iss": "https://elsewhere.example"}),
        ({}, {"exp": 1}),
    ],
)
def test_whatever_is_wrong_is_refused_on_the_login_page(
    provider: Provider, ada: User, client: Client, claims: object, token: object
) -> None:
    provider.claims |= claims
    provider.token = token
    response = log_in_through(provider, client)
    assert (response.status_code, response["Location"]) == (302, "/admin/login/")
    assert "Log in with" in client.get("/admin/login/").content.decode()
    assert "_auth_user_id" not in client.session
    assert User.objects.count() == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_only_active_staff_log_in(provider: Provider, ada: User, client: Client, change: Any) -> None:
    User.objects.update(**change)
    assert log_in_through(provider, client)["Location"] == "/admin/login/"


def test_an_email_of_two_is_nobodys(provider: Provider, ada: User, client: Client) -> None:
    UserFactory(username="other", email="ada@example.com", tenant=ada.tenant)
    response = log_in_through(provider, client)
    assert response["Location"] == "/admin/login/"
    [message] = get_messages(response.wsgi_request)
    assert "that exactly one active member of staff has here" in str(message)


def test_a_provider_that_is_away_is_no_failure(
    provider: Provider, ada: User, client: Client, settings
) -> None:
    settings.OIDC_OP_TOKEN_ENDPOINT = "http://127.0.0.1:9/token"
    assert log_in_through(provider, client)["Location"] == "/admin/login/"


# One-time passwords


def password_of(device: TOTPDevice, steps: int = 0) -> str:
    made = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    made.time = time.time() + steps * device.step
    return f"{made.token():06}"


@pytest.fixture
def device(ada: User) -> TOTPDevice:
    return TOTPDevice.objects.create(user=ada, name="phone", confirmed=True)


def test_without_a_device_nothing_is_asked_for_unless_required(ada: User, client: Client, settings) -> None:
    client.force_login(ada)
    assert client.get(PAGE).status_code == 200
    settings.TOTP_REQUIRED = True
    assert client.get(PAGE)["Location"] == "/admin/totp/set-up/?next=%2Fadmin%2Fsegments%2Fsegment%2F"
    assert client.get("/admin/totp/verify/").status_code == 302
    assert client.get("/admin/login/").status_code == 302


def test_a_device_is_set_up(ada: User, client: Client, settings) -> None:
    settings.TOTP_REQUIRED = True
    client.force_login(ada)
    address = f"/admin/totp/set-up/?next={PAGE}"
    page = client.get(address).content.decode()
    device = TOTPDevice.objects.get(user=ada, confirmed=False)
    assert "data:image/svg+xml;base64," in page
    assert "is neither the present one-time password" in client.post(address, {"token": "1"}).content.decode()
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    shown = client.post(address, {"token": password_of(device)})
    assert f'href="{PAGE}">I have kept them</a>' in shown.content.decode()
    assert client.get(PAGE).status_code == 200
    assert TOTPDevice.objects.get(user=ada).confirmed


def test_a_device_is_asked_for_at_each_login(ada: User, client: Client, device: TOTPDevice) -> None:
    client.force_login(ada)
    asked = client.get(PAGE)["Location"]
    assert asked == "/admin/totp/verify/?next=%2Fadmin%2Fsegments%2Fsegment%2F"
    assert client.get("/admin/totp/set-up/")["Location"].startswith("/admin/totp/verify/")
    assert client.post(asked, {"token": password_of(device, 1_000)}).status_code == 200
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    assert client.post(asked, {"token": password_of(device)})["Location"] == PAGE
    assert client.get(PAGE).status_code == 200
    again = Client()
    again.force_login(ada)
    assert again.get(PAGE).status_code == 302
    assert again.post(asked, {"token": password_of(device)}).status_code == 200  # each one only once


def codes_on(response: HttpResponse) -> list[str]:
    return re.findall(r'secret-value">([^<]+)</code></li>', response.content.decode())


def test_a_recovery_code_lets_in_once(ada: User, client: Client, device: TOTPDevice) -> None:
    codes = RecoveryCodes.issue(ada)
    for number, code in enumerate([codes[3], codes[3], codes[4].upper()]):
        browser = Client()
        browser.force_login(ada)
        response = browser.post(f"/admin/totp/verify/?next={PAGE}", {"token": code})
        assert (response.status_code == 302) == (number != 1)
        RecoveryCodes.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
        TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    page = browser.get(PAGE).content.decode()
    assert "You used a recovery code; 8 are left." in page
    assert 'href="/admin/totp/recovery-codes/">One-time passwords</a>' in page


def test_codes_are_kept_as_hashes_and_shown_once(ada: User, client: Client, device: TOTPDevice) -> None:
    client.force_login(ada)
    client.post("/admin/totp/verify/", {"token": password_of(device)})
    shown = client.post("/admin/totp/recovery-codes/")
    codes = codes_on(shown)
    assert len(codes) == len(set(codes)) == 10
    assert "no-store" in shown["Cache-Control"]
    stored = str(RecoveryCodes.objects.values().get())
    assert not [code for code in codes if code in stored or code.replace("-", "") in stored]
    page = client.get("/admin/totp/recovery-codes/").content.decode()
    assert "<strong>10</strong>" in page
    assert not [code for code in codes if code in page]


def test_new_codes_end_those_of_before_and_not_the_session(
    ada: User, client: Client, device: TOTPDevice
) -> None:
    former = RecoveryCodes.issue(ada)
    client.force_login(ada)
    assert client.post("/admin/totp/verify/", {"token": former[0]}).status_code == 302
    codes = codes_on(client.post("/admin/totp/recovery-codes/"))
    assert client.get(PAGE).status_code == 200
    held = RecoveryCodes.objects.get()
    assert not held.verify_token(former[1])
    held = RecoveryCodes.objects.get()
    held.throttle_reset()
    assert held.verify_token(codes[1])


def test_wrong_codes_are_slowed_down_and_passwords_of_an_app_are_none(ada: User, device: TOTPDevice) -> None:
    [code, *_] = RecoveryCodes.issue(ada)
    held = RecoveryCodes.objects.get()
    assert not held.verify_token("123456")
    assert held.throttling_failure_count == 0
    assert not held.verify_token("a" * 16)
    assert held.throttling_failure_count == 1
    assert not held.verify_token(code)  # right, but at once after a wrong one


def test_codes_without_a_device_are_not_asked_for(client: Client, ada: User, device: TOTPDevice) -> None:
    RecoveryCodes.issue(ada)
    operator = UserFactory(username="operator", tenant=None, is_superuser=True)
    client.force_login(operator)
    client.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"})
    assert not RecoveryCodes.objects.exists()
    client.force_login(ada)
    assert client.get(PAGE).status_code == 200
    assert client.get("/admin/totp/recovery-codes/")["Location"] == "/admin/totp/set-up/"


def test_wrong_passwords_are_slowed_down(ada: User, client: Client, device: TOTPDevice) -> None:
    client.force_login(ada)
    assert client.post("/admin/totp/verify/", {"token": "000000"}).status_code == 200
    response = client.post("/admin/totp/verify/", {"token": password_of(device)})
    assert response.status_code == 200  # right, but at once after a wrong one


def test_the_provider_does_not_replace_the_device(
    provider: Provider, ada: User, client: Client, device: TOTPDevice
) -> None:
    log_in_through(provider, client)
    assert client.get(PAGE)["Location"].startswith("/admin/totp/verify/")


def test_no_page_shows_the_secret_of_a_device(client: Client, device: TOTPDevice) -> None:
    operator = UserFactory(username="operator", tenant=None, is_superuser=True)
    client.force_login(operator)
    page = client.get(f"/admin/otp_totp/totpdevice/{device.pk}/change/")
    assert page.status_code == 200
    assert device.key not in page.content.decode()
    client.post(f"/admin/otp_totp/totpdevice/{device.pk}/delete/", {"post": "yes"})
    assert not TOTPDevice.objects.exists()
