import re
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.core import mail
from django.urls import reverse

from accounts.identity.models import LegacyPassword
from accounts.identity.operations.passwords import reset_token
from accounts.models import Customer
from core.journal.models import Change
from core.tenancy.callers import CallerKind
from tests.conftest import Api, web_client
from tests.factories.accounts import ApiClientFactory, CustomerFactory

CHANGE = "/customer/acme/password/change"
RESET = "/customer/acme/password/reset"
CONFIRM = "/customer/acme/password/reset/update"
OLD, NEW = "the old password", "correct horse battery"


@pytest.fixture
def customer(tenant):
    return CustomerFactory(tenant=tenant, email="john@example.com", password=make_password(OLD))


def password_is(customer, password):
    customer.refresh_from_db()
    return check_password(password, customer.password)


def log_in(api, password):
    return api.post("/customer/acme/login", {"email": "john@example.com", "password": password})


# Change


def test_customers_change_their_password_and_only_other_sessions_end(
    anonymous_api, customer_api, customer, django_capture_on_commit_callbacks
):
    other = customer_api(customer)
    own = Api(log_in(anonymous_api, OLD).json()["access_token"])
    with django_capture_on_commit_callbacks(execute=True):
        answer = own.post(CHANGE, {"currentPassword": OLD, "newPassword": NEW})
    assert (answer.status_code, answer.content) == (204, b"")
    assert password_is(customer, NEW)
    assert own.get("/customer/acme/me").status_code == 200
    assert other.get("/customer/acme/me").status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"currentPassword": "another", "newPassword": NEW}, "currentPassword"),
        ({"currentPassword": OLD, "newPassword": "short"}, "newPassword"),
        ({"currentPassword": OLD}, "newPassword"),
        ({"newPassword": NEW}, "currentPassword"),
    ],
)
def test_change_that_breaks_a_rule_is_refused_with_the_field(customer_api, customer, body, field):
    answer = customer_api(customer).post(CHANGE, body)
    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, field)
    assert password_is(customer, OLD)


def test_wrong_current_passwords_are_limited_as_logins_are(customer_api, customer):
    api = customer_api(customer)
    body = {"currentPassword": "another", "newPassword": NEW}
    assert [api.post(CHANGE, body).status_code for _ in range(6)] == [400] * 5 + [429]


def test_change_is_for_customers_and_reset_for_anonymous_visitors(anonymous_api, customer_api, customer):
    body = {"currentPassword": OLD, "newPassword": NEW}
    assert anonymous_api.post(CHANGE, body).status_code == 403
    own = customer_api(customer)
    assert own.post(RESET, {"email": "john@example.com"}).status_code == 403
    assert own.post(CONFIRM, {"token": "x", "password": NEW}).status_code == 403


# Reset


def request_reset(api, email="john@example.com"):
    return api.post(RESET, {"email": email, "site": "main"})


@pytest.fixture
def token(anonymous_api, customer, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = request_reset(anonymous_api, " John@Example.com ")
    assert (answer.status_code, answer.content) == (204, b"")
    [sent] = mail.outbox
    assert sent.to == ["john@example.com"]
    return re.search(r"^\S{40,}$", sent.body, re.MULTILINE)[0]


def test_token_of_the_email_sets_a_new_password_once(anonymous_api, customer, token):
    answer = anonymous_api.post(CONFIRM, {"token": token, "password": NEW})
    assert (answer.status_code, answer.content) == (204, b"")
    assert password_is(customer, NEW)
    again = anonymous_api.post(CONFIRM, {"token": token, "password": OLD})
    assert (again.status_code, again.json()["details"][0]["field"]) == (400, "token")
    assert password_is(customer, NEW)


def test_email_has_a_link_when_the_settings_name_the_page(
    anonymous_api, customer, settings, django_capture_on_commit_callbacks
):
    settings.PASSWORD_RESET_URL = "https://shop.example/reset?token={token}"
    with django_capture_on_commit_callbacks(execute=True):
        request_reset(anonymous_api)
    link = re.search(r"https://shop\.example/reset\?token=(\S+)", mail.outbox[0].body)
    assert anonymous_api.post(CONFIRM, {"token": link[1], "password": NEW}).status_code == 204


def test_reset_does_not_say_who_is_a_customer(anonymous_api, customer, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = request_reset(anonymous_api, "nobody@example.com")
    assert (answer.status_code, answer.content) == (204, b"")
    assert mail.outbox == []


def test_resets_of_an_email_are_limited_whether_or_not_it_is_known(anonymous_api, customer):
    for email in ("john@example.com", "nobody@example.com"):
        found = [request_reset(anonymous_api, email).status_code for _ in range(4)]
        assert found == [204] * 3 + [429]


@pytest.mark.parametrize("change", ["later", "login", "email", "inactive", "tampered", "other tenant"])
def test_token_that_is_no_longer_good_is_refused(
    anonymous_api, customer, token, clock, other_tenant, change, now
):
    match change:
        case "later":
            clock.advance(timedelta(seconds=3_600))
        case "login":
            Customer.objects.update(last_login_at=now)
        case "email":
            Customer.objects.update(email="new@example.com")
        case "inactive":
            Customer.objects.update(is_active=False)
        case "tampered":
            token = f"{token}x"
        case "other tenant":
            token = reset_token(CustomerFactory(tenant=other_tenant), at=now)
    answer = anonymous_api.post(CONFIRM, {"token": token, "password": NEW})
    expected = 401 if change == "later" else 400  # an hour later the anonymous token has expired as well
    assert answer.status_code == expected
    assert password_is(customer, OLD)


def test_token_is_good_until_the_second_it_expires(anonymous_api, customer, token, clock, settings):
    settings.PASSWORD_RESET_LIFETIME = 60
    clock.advance(timedelta(seconds=60))
    assert anonymous_api.post(CONFIRM, {"token": token, "password": NEW}).status_code == 400
    clock.advance(timedelta(seconds=-1))
    assert anonymous_api.post(CONFIRM, {"token": token, "password": NEW}).status_code == 204


def test_a_reset_is_recorded_as_the_act_of_the_customer(anonymous_api, customer, token):
    anonymous_api.post(CONFIRM, {"token": token, "password": NEW}, headers={"X-Request-Id": "r-7"})
    [change] = Change.objects.filter(object="customer", kind="updated")
    assert change.hidden == ["password"]
    assert (change.actor_type, change.actor_id) == ("customer", customer.external_id)
    assert (change.source_type, change.source_id) == ("request", "r-7")


def test_new_password_of_a_reset_must_pass_the_validators(anonymous_api, customer, token):
    answer = anonymous_api.post(CONFIRM, {"token": token, "password": "password123"})
    assert (answer.status_code, answer.json()["details"][0]["type"]) == (400, "unacceptable_password")
    assert anonymous_api.post(CONFIRM, {"token": token, "password": NEW}).status_code == 204


def test_reset_ends_a_legacy_password(anonymous_api, customer, token):
    LegacyPassword.objects.create(tenant=customer.tenant, customer=customer, algorithm="phpass", hash="x")
    anonymous_api.post(CONFIRM, {"token": token, "password": NEW})
    assert not LegacyPassword.objects.exists()


def test_mail_server_that_fails_is_logged_and_changes_nothing(
    anonymous_api, customer, monkeypatch, caplog, django_capture_on_commit_callbacks
):
    def fail(message):
        raise ConnectionRefusedError("no server")

    monkeypatch.setattr("django.core.mail.EmailMessage.send", fail)
    with django_capture_on_commit_callbacks(execute=True):
        assert request_reset(anonymous_api).status_code == 204
    assert "An e-mail could not be sent: no server" in caplog.text


# Identity providers


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("exchangeauthtoken", {"subjectAccessToken": "a.b.c"}, "config"),
        ("exchangeauthtoken", {"subjectAccessToken": "a.b.c", "config": "site_PL"}, "config"),
        ("exchangeauthtoken", {}, "subjectAccessToken"),
        ("socialLogin", {"code": "c", "redirect_uri": "https://shop.example"}, "code"),
        ("socialLogin", {"redirect_uri": "https://shop.example"}, "code"),
        ("socialLogin", {"code": "c"}, "redirect_uri"),
    ],
)
def test_tenants_have_no_identity_provider(anonymous_api, path, query, field):
    answer = anonymous_api.post(f"/customer/acme/{path}", **query)
    assert (answer.status_code, answer.json()["type"]) == (400, "validation_violation")
    assert answer.json()["details"][0]["field"] == field


@pytest.mark.parametrize("path", ["exchangeauthtoken", "socialLogin"])
def test_logins_by_identity_providers_need_an_anonymous_token(service_api, path):
    answer = service_api().post(f"/customer/acme/{path}", subjectAccessToken="x", code="x")
    assert answer.status_code == 403
    assert CallerKind.ANONYMOUS.value in answer.json()["message"]


# Passwords that staff chose


@pytest.fixture
def says_initial(tenant, stored_signing_keys):
    ApiClientFactory(tenant=tenant, client_id="shop", may_start_sessions=True)

    def ask(password):
        query = {"tenant": "acme", "client_id": "shop"}
        opened = web_client().get("/customerlogin/auth/anonymous/login", query_params=query)
        return log_in(Api(opened.json()["access_token"]), password).json()["initialPassword"]

    return ask


def test_a_login_says_whether_staff_chose_the_password(
    anonymous_api, customer_api, service_api, staff_browser, site, says_initial, now
):
    profile = {"contactEmail": "john@example.com", "password": OLD}
    staff = service_api("customer.customer_manage")
    assert staff.post("/customer/acme/customers", profile).status_code == 201
    customer = Customer.objects.get()
    assert [says_initial(OLD), says_initial(OLD)] == [True, True]
    change = {"currentPassword": OLD, "newPassword": NEW}
    assert customer_api(customer).post(CHANGE, change).status_code == 204
    assert says_initial(NEW) is False
    page = reverse("admin:accounts_customer_password", args=(customer.pk,))
    form = {"password": "set by staff 1", "again": "set by staff 1"}
    assert staff_browser.post(page, form).status_code == 302
    assert says_initial("set by staff 1") is True
    customer.refresh_from_db()
    confirmed = anonymous_api.post(CONFIRM, {"token": reset_token(customer, at=now), "password": OLD})
    assert confirmed.status_code == 204
    assert says_initial(OLD) is False


def test_a_password_of_a_sign_up_is_the_customers_own(anonymous_api, site, says_initial):
    body = {"email": "john@example.com", "password": NEW}
    assert anonymous_api.post("/customer/acme/signup", body).status_code == 201
    assert says_initial(NEW) is False
