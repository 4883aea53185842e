"""Error pages of the admin, and where a login leads."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from core.tenancy.models import Tenant
from tests.conftest import web_client
from tests.factories.accounts import UserFactory

PASSWORD = "correct horse battery"
START = "/admin/"


def assert_page(response, status: int, text: str) -> None:
    page = response.content.decode()
    assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert "core/console" in page
    assert text in page
    assert f'<a href="{START}">Go to the start page</a>' in page


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("path", ["nothing/", "segments/nothing/"])
def test_a_missing_page_is_a_page_of_the_admin(staff_browser: Client, settings, path, debug):
    settings.DEBUG = debug
    assert_page(staff_browser.get(START + path), 404, "There is no page at this address.")


def test_a_request_that_cannot_be_read_is_a_page_of_the_admin(staff_browser: Client, settings):
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2
    response = staff_browser.post("/admin/password_change/", dict.fromkeys("abcd", "1"))
    assert_page(response, 400, "The server cannot read this request.")


def test_a_page_without_permission_is_a_page_of_the_admin(client: Client, tenant: Tenant):
    client.force_login(UserFactory(tenant=tenant))
    assert_page(
        client.get(reverse("admin:segments_segment_changelist")),
        403,
        "Your account has no permission for this page.",
    )


def test_a_failure_is_a_page_of_the_admin(staff_browser: Client, monkeypatch):
    monkeypatch.setattr("core.admin.site.Console.get_app_list", lambda *arguments: 1 / 0)
    staff_browser.raise_request_exception = False
    assert_page(staff_browser.get(START), 500, "Something went wrong, and was logged.")
    staff_browser.raise_request_exception = True


def test_a_forged_form_is_a_page_of_the_admin(db):
    response = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x", "password": "y"})
    assert_page(response, 403, "Nothing was changed: this form was opened before")


def test_the_api_keeps_its_errors(client: Client):
    assert client.get("/nothing").json()["code"] == 404


@pytest.fixture
def password_user(tenant: Tenant):
    user = UserFactory(username="staff", tenant=tenant, is_superuser=True)
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.mark.parametrize(
    ("wanted", "page"),
    [
        ("/admin/segments/segment/?q=gold", "/admin/segments/segment/?q=gold"),
        ("/admin/segments/segment", "/admin/segments/segment"),  # the slash is added on the way
        ("", START),
        ("https://elsewhere.example/", START),
        ("//elsewhere.example/admin/", START),
        ("/nothing", START),
        ("/admin/nothing/", START),
        ("/admin/segments/nothing/", START),
        ("/admin/logout/", START),
        ("/admin/login/", START),
        ("/admin/autocomplete/", START),
        ("/healthz", START),
    ],
)
def test_a_login_leads_to_a_page_of_the_admin(password_user, wanted, page):
    browser = web_client()
    entries = {"username": "staff", "password": PASSWORD, "next": wanted}
    response = browser.post("/admin/login/", entries)
    assert (response.status_code, response["Location"]) == (302, page)
    assert browser.get(response["Location"], follow=True).status_code == 200


def test_a_logout_leads_to_the_login(staff_browser: Client):
    response = staff_browser.post("/admin/logout/", follow=True)
    assert response.status_code == 200


def test_a_session_of_the_admin_ends_after_twelve_hours(password_user, clock):
    browser = web_client()
    browser.post("/admin/login/", {"username": "staff", "password": PASSWORD})
    assert browser.cookies["sessionid"]["max-age"] == 12 * 60 * 60
    clock.advance(timedelta(hours=11, minutes=59))
    assert browser.get("/admin/segments/segment/").status_code == 200
    clock.advance(timedelta(minutes=2))
    ended = browser.get("/admin/segments/segment/")  # the cookie is still sent
    assert ended.status_code == 302
    assert ended["Location"].startswith("/admin/login/")
