import uuid
from datetime import timedelta

import jwt
import pytest
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from accounts.identity.models import AttemptCounter, RefreshToken, Session
from accounts.identity.scopes import ANONYMOUS_SCOPES, CUSTOMER_SCOPES
from accounts.identity.tokens import issue_access_token, verify_access_token
from accounts.models import ContactAssignment, Customer
from core.tenancy.callers import CallerKind
from tests.conftest import Api, web_client
from tests.factories.accounts import (
    ApiClientFactory,
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
)

ANONYMOUS = "/customerlogin/auth/anonymous"
PASSWORD = "a good password"


@pytest.fixture
def storefront(tenant, stored_signing_keys):
    return ApiClientFactory(tenant=tenant, client_id="shop", may_start_sessions=True)


@pytest.fixture
def customer(tenant):
    return CustomerFactory(
        tenant=tenant, external_id="C1", email="john@example.com", password=make_password(PASSWORD)
    )


def anonymous(step="login", **query):
    parameters = {"tenant": "acme", "client_id": "shop", **query}
    return web_client().get(
        f"{ANONYMOUS}/{step}", query_params={key: value for key, value in parameters.items() if value}
    )


@pytest.fixture
def visitor(storefront):
    return Api(anonymous().json()["access_token"])


def log_in(visitor, email="john@example.com", password=PASSWORD, **arguments):
    return visitor.post("/customer/acme/login", {"email": email, "password": password}, **arguments)


@pytest.fixture
def tokens(visitor, customer):
    return log_in(visitor).json()


def refresh(api, refresh_token, **query):
    return api.get("/customer/acme/refreshauthtoken", refreshToken=refresh_token, **query)


def is_alive(token):
    return Api(token).get("/customer/acme/me").status_code == 200


# Anonymous sessions


def test_anonymous_login_answers_the_published_fields_and_their_copies(storefront):
    answer = anonymous(currency="EUR", siteCode="main", language="de", targetLocation="DE")
    body = answer.json()
    session = Session.objects.get()
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert body == {
        "token_type": "Bearer",
        "access_token": body["accessToken"],
        "expires_in": 3599,
        "refresh_token": body["refreshToken"],
        "refresh_token_expires_in": 86399,
        "sessionId": str(session.session_id),
        "scope": "tenant=acme",
        "accessToken": body["access_token"],
        "refreshToken": body["refresh_token"],
        "expiresIn": 3599,
    }
    assert session.context == {
        "currency": "EUR",
        "siteCode": "main",
        "language": "de",
        "targetLocation": "DE",
    }
    caller = verify_access_token(body["access_token"], at=timezone.now())
    assert (caller.kind, caller.scopes) == (CallerKind.ANONYMOUS, frozenset(ANONYMOUS_SCOPES))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"tenant": ""}, 400),
        ({"client_id": ""}, 400),
        ({"tenant": "t" * 17}, 400),
        ({"currency": "EURO"}, 400),
        ({"language": "<b>"}, 400),
        ({"tenant": "globex"}, 401),
        ({"client_id": "nobody"}, 401),
        ({"client_id": "backend"}, 401),
    ],
    ids=str,
)
def test_faulty_anonymous_login_is_refused(storefront, tenant, other_tenant, query, status):
    ApiClientFactory(tenant=tenant, client_id="backend")
    answer = anonymous(**query)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["type"] == "validation_violation"
    else:
        assert answer.json() == {
            "fault": {
                "faultstring": "Invalid client identifier",
                "detail": {"errorcode": "oauth.v2.InvalidClientId"},
            }
        }
    assert not Session.objects.exists()


def test_anonymous_refresh_needs_only_the_refresh_token_and_keeps_the_session(storefront):
    first = anonymous().json()
    answer = anonymous("refresh", refresh_token=first["refresh_token"])
    second = answer.json()
    assert answer.status_code == 200
    assert set(second) == set(first)
    assert second["sessionId"] == first["sessionId"]
    assert second["refresh_token"] != first["refresh_token"]
    assert is_alive(second["access_token"])


def test_used_refresh_token_is_dead_and_ends_the_session(storefront, clock):
    first = anonymous().json()
    second = anonymous("refresh", refresh_token=first["refresh_token"]).json()
    clock.advance(timedelta(seconds=11))
    assert anonymous("refresh", refresh_token=first["refresh_token"]).status_code == 401
    assert anonymous("refresh", refresh_token=second["refresh_token"]).status_code == 401
    assert Session.objects.get().revoked_at is not None


def test_deprecated_anonymous_token_renews_the_access_token(storefront, tenant):
    first = anonymous().json()
    answer = anonymous("refresh", anonymous_token=first["access_token"])
    assert answer.status_code == 200
    assert set(answer.json()) == set(first) - {
        "refresh_token",
        "refresh_token_expires_in",
        "refreshToken",
    }
    assert answer.json()["sessionId"] == first["sessionId"]
    expired = issue_access_token(
        tenant=tenant,
        kind=CallerKind.ANONYMOUS,
        client_id="shop",
        session_id=first["sessionId"],
        at=timezone.now() - timedelta(hours=2),
    )
    assert anonymous("refresh", anonymous_token=expired).status_code == 200
    forgotten = issue_access_token(
        tenant=tenant,
        kind=CallerKind.ANONYMOUS,
        client_id="shop",
        session_id=first["sessionId"],
        at=timezone.now() - timedelta(days=2),
    )
    answer = anonymous("refresh", anonymous_token=forgotten)
    assert answer.json() == {
        "fault": {
            "faultstring": "Access Token expired",
            "detail": {"errorcode": "keymanagement.service.access_token_expired"},
        }
    }


def test_anonymous_refresh_refuses_what_is_no_token_of_the_session(storefront, tokens):
    assert anonymous("refresh").status_code == 400
    assert anonymous("refresh", refresh_token="unknown").status_code == 401
    assert anonymous("refresh", refresh_token="x" * 201).status_code == 400
    assert anonymous("refresh", anonymous_token="unknown").status_code == 401
    assert anonymous("refresh", anonymous_token=tokens["access_token"]).status_code == 401
    assert anonymous("refresh", refresh_token=tokens["refresh_token"]).status_code == 401
    assert is_alive(tokens["access_token"])


def test_refresh_token_of_another_client_is_refused(storefront, tenant):
    ApiClientFactory(tenant=tenant, client_id="other", may_start_sessions=True)
    token = anonymous().json()["refresh_token"]
    assert anonymous("refresh", client_id="other", refresh_token=token).status_code == 401
    assert anonymous("refresh", refresh_token=token).status_code == 200


# Login


def test_login_answers_the_published_fields_and_their_copies(visitor, customer):
    answer = log_in(visitor)
    body = answer.json()
    session = Session.objects.get(customer=customer)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert body == {
        "token_type": "Bearer",
        "access_token": body["accessToken"],
        "saas_token": body["saasToken"],
        "expires_in": 14399,
        "refresh_token": body["refreshToken"],
        "refresh_token_expires_in": 86399,
        "session_id": str(session.session_id),
        "accessToken": body["access_token"],
        "saasToken": body["saas_token"],
        "expiresIn": 14399,
        "refreshToken": body["refresh_token"],
        "refreshTokenExpiresIn": 86399,
        "initialPassword": False,
    }
    caller = verify_access_token(body["access_token"], at=timezone.now())
    assert (caller.customer.external_id, caller.legal_entity) == ("C1", None)
    assert caller.scopes == frozenset(CUSTOMER_SCOPES)
    assert jwt.decode(body["saas_token"], options={"verify_signature": False})["sub"] == "C1"
    customer.refresh_from_db()
    assert customer.last_login_at is not None


def test_login_keeps_the_id_and_the_context_of_the_visitors_session(storefront, customer):
    first = anonymous(currency="CHF").json()
    second = log_in(Api(first["access_token"])).json()
    session = Session.objects.get()
    assert second["session_id"] == first["sessionId"] == str(session.session_id)
    assert (session.customer, session.context) == (customer, {"currency": "CHF"})


def test_login_ends_the_anonymous_refresh_token(storefront, visitor, customer):
    first = anonymous().json()
    second = log_in(Api(first["access_token"])).json()
    assert anonymous("refresh", refresh_token=first["refresh_token"]).status_code == 401
    assert refresh(visitor, first["refresh_token"]).status_code == 401
    assert refresh(visitor, second["refresh_token"]).status_code == 200


def test_anonymous_access_token_stays_anonymous_after_the_login(visitor, customer):
    log_in(visitor)
    assert visitor.get("/customer/acme/me").json()["firstName"] == "Anonymous"


def test_second_login_with_one_anonymous_token_gets_another_session(visitor, customer):
    CustomerFactory(tenant=customer.tenant, email="eve@example.com", password=make_password(PASSWORD))
    first = log_in(visitor).json()
    second = log_in(visitor, email="eve@example.com").json()
    assert first["session_id"] != second["session_id"]
    assert Session.objects.get(session_id=first["session_id"]).customer == customer
    assert is_alive(first["access_token"])


def test_login_in_a_session_that_has_just_ended_is_refused(visitor, customer, now):
    visitor.get("/customer/acme/me")  # the token is known to be good for some seconds
    Session.objects.update(revoked_at=now)
    answer = log_in(visitor)
    assert answer.status_code == 401
    assert "was revoked" in answer["WWW-Authenticate"]
    assert not Session.objects.filter(customer=customer).exists()


def test_logout_ends_the_anonymous_token_too(visitor, customer, django_capture_on_commit_callbacks):
    token = log_in(visitor).json()["access_token"]
    with django_capture_on_commit_callbacks(execute=True):
        assert Api(token).get("/customer/acme/logout").status_code == 204
    assert not is_alive(token)
    assert visitor.get("/customer/acme/me").status_code == 401


def test_email_is_the_same_in_any_case(visitor, customer):
    assert log_in(visitor, email=" John@Example.COM ").status_code == 200


@pytest.mark.parametrize(
    ("email", "password", "change"),
    [
        ("john@example.com", "wrong", {}),
        ("nobody@example.com", PASSWORD, {}),
        ("john@example.com", PASSWORD, {"is_active": False}),
        ("john@example.com", PASSWORD, {"is_on_hold": True}),
        ("john@example.com", PASSWORD, {"password": ""}),
    ],
)
def test_refused_logins_look_alike(visitor, customer, email, password, change):
    Customer.objects.update(**change)
    answer = log_in(visitor, email=email, password=password)
    assert answer.status_code == 401
    assert answer.json() == {
        "fault": {
            "faultstring": "Invalid credentials",
            "detail": {"errorcode": "oauth.v2.InvalidCredentials"},
        }
    }
    assert not Session.objects.filter(customer__isnull=False).exists()


def test_unknown_email_takes_a_password_hash_too(visitor, customer, monkeypatch):
    """Otherwise the time of the answer tells who is a customer."""
    hashed = []
    monkeypatch.setattr("accounts.identity.operations.sessions.hash_password", hashed.append)
    log_in(visitor, email="nobody@example.com", password="guess")
    assert hashed == ["guess"]


def test_customer_of_another_tenant_cannot_log_in(visitor, other_tenant):
    CustomerFactory(tenant=other_tenant, email="john@example.com", password=make_password(PASSWORD))
    assert log_in(visitor).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"password": "x"}, "email"),
        ({"email": "x"}, "password"),
        ({"email": "x" * 255, "password": "x"}, "email"),
        ({"email": "x", "password": "x" * 201}, "password"),
        ([], ""),
    ],
)
def test_malformed_login_is_refused(visitor, body, field):
    answer = visitor.post("/customer/acme/login", body)
    assert (answer.status_code, answer.json()["type"]) == (400, "validation_violation")
    if field:
        assert answer.json()["details"][0]["field"] == field


def test_login_needs_an_anonymous_token(service_api, tokens, customer):
    assert log_in(service_api()).status_code == 403
    assert log_in(Api(tokens["access_token"])).status_code == 403
    assert log_in(Api(None)).status_code == 401


def test_sixth_failed_login_from_an_address_must_wait(visitor, customer):
    for _ in range(5):
        assert log_in(visitor, password="wrong").status_code == 401
    answer = log_in(visitor)
    assert (answer.status_code, answer.json()["type"]) == (429, "too_many_requests")
    assert 840 <= int(answer["Retry-After"]) <= 900
    other_address = {"headers": {}, "email": "john@example.com"}
    visitor.client.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert log_in(visitor, **other_address).status_code == 200


def test_failed_logins_count_whether_or_not_the_email_is_known(visitor):
    for _ in range(5):
        log_in(visitor, email="nobody@example.com")
    assert log_in(visitor, email="nobody@example.com").status_code == 429


def test_login_forgives_the_failures_before_it(visitor, customer):
    for _ in range(3):
        for _ in range(4):
            assert log_in(visitor, password="wrong").status_code == 401
        assert log_in(visitor).status_code == 200


def test_throttle_ends_with_its_window(visitor, customer):
    for _ in range(6):
        log_in(visitor, password="wrong")
    AttemptCounter.objects.update(resets_at=timezone.now())
    assert log_in(visitor).status_code == 200


def test_who_goes_on_with_one_account_does_not_lock_out_the_others_at_the_address(visitor, customer):
    statuses = [log_in(visitor, email="nobody@example.com").status_code for _ in range(120)]
    assert statuses == [401] * 5 + [429] * 115
    assert log_in(visitor).status_code == 200


def fail_from_one_address(visitor):
    """Exhaust the limit of an address: 20 times that of an account there."""
    for number in range(100):
        assert log_in(visitor, email=f"{number}@example.com").status_code == 401


def test_address_counts_over_all_emails(visitor, customer):
    fail_from_one_address(visitor)
    assert log_in(visitor).status_code == 429


def test_customer_who_logged_in_from_an_address_is_not_locked_out_by_others_there(visitor, customer):
    assert log_in(visitor).status_code == 200
    fail_from_one_address(visitor)
    assert log_in(visitor, email="new@example.com").status_code == 429
    assert log_in(visitor).status_code == 200
    for _ in range(5):
        assert log_in(visitor, password="wrong").status_code == 401
    assert log_in(visitor).status_code == 429


def test_customer_who_logged_in_from_an_address_is_not_locked_out_there_from_elsewhere(visitor, customer):
    assert log_in(visitor).status_code == 200
    for number in range(100):
        visitor.client.defaults["REMOTE_ADDR"] = f"192.0.2.{number}"
        assert log_in(visitor, password="wrong").status_code == 401
    assert log_in(visitor).status_code == 429
    visitor.client.defaults["REMOTE_ADDR"] = "127.0.0.1"
    assert log_in(visitor).status_code == 200


def test_address_is_familiar_for_30_days(visitor, customer):
    log_in(visitor)
    familiar = AttemptCounter.objects.get(resets_at__gt=timezone.now() + timedelta(days=1))
    assert timedelta(days=29, hours=23) < familiar.resets_at - timezone.now() <= timedelta(days=30)
    AttemptCounter.objects.filter(pk=familiar.pk).update(resets_at=timezone.now())
    fail_from_one_address(visitor)
    assert log_in(visitor).status_code == 429


def test_forwarded_address_counts_only_behind_a_trusted_proxy(visitor, customer, settings):
    def attempt(forwarded):
        return log_in(visitor, password="wrong", headers={"X-Forwarded-For": forwarded}).status_code

    for number in range(5):
        assert attempt(f"192.0.2.{number}") == 401
    assert attempt("192.0.2.9") == 429
    settings.TRUSTED_PROXIES = 1
    for _ in range(5):
        assert attempt("6.6.6.6, 192.0.2.10") == 401
    assert attempt("7.7.7.7, 192.0.2.10") == 429
    assert attempt("192.0.2.11") == 401


def test_counters_hold_neither_address_nor_email(visitor, customer):
    log_in(visitor, password="wrong")
    assert all(len(counter.subject) == 64 for counter in AttemptCounter.objects.all())
    assert AttemptCounter.objects.count() == 3


# Refresh


def test_refresh_answers_new_tokens_of_the_same_session(tokens):
    answer = refresh(Api(tokens["access_token"]), tokens["refresh_token"])
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == set(tokens) - {"initialPassword", "saas_token", "saasToken"}
    assert body["session_id"] == tokens["session_id"]
    assert body["refresh_token"] != tokens["refresh_token"]
    assert body["accessToken"] == body["access_token"]
    assert is_alive(body["access_token"])


def test_anonymous_token_suffices_to_refresh(visitor, tokens):
    assert refresh(visitor, tokens["refresh_token"]).status_code == 200


def test_reuse_of_a_refresh_token_revokes_the_whole_family(
    visitor, tokens, clock, django_capture_on_commit_callbacks
):
    second = refresh(visitor, tokens["refresh_token"]).json()
    assert is_alive(second["access_token"])
    clock.advance(timedelta(seconds=11))
    with django_capture_on_commit_callbacks(execute=True):
        answer = refresh(visitor, tokens["refresh_token"])
    assert answer.status_code == 401
    assert answer.json()["fault"]["detail"]["errorcode"] == "oauth.v2.InvalidRefreshToken"
    assert refresh(visitor, second["refresh_token"]).status_code == 401
    assert not is_alive(second["access_token"])
    assert not is_alive(tokens["access_token"])


def test_refresh_token_expires(visitor, tokens):
    RefreshToken.objects.update(expires_at=timezone.now())
    assert refresh(visitor, tokens["refresh_token"]).status_code == 401
    assert Session.objects.get(customer__isnull=False).revoked_at is None


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_on_hold": True}])
def test_customer_who_may_not_log_in_may_not_refresh(visitor, tokens, change):
    Customer.objects.update(**change)
    assert refresh(visitor, tokens["refresh_token"]).status_code == 401


def test_faulty_refresh_is_refused(visitor, tokens, service_api, other_tenant):
    assert refresh(visitor, "").status_code == 400
    assert refresh(visitor, "x" * 201).status_code == 400
    assert refresh(visitor, "unknown").status_code == 401
    assert refresh(Api(None), tokens["refresh_token"]).status_code == 401
    stranger = service_api(tenant=other_tenant)
    answer = stranger.get("/customer/globex/refreshauthtoken", refreshToken=tokens["refresh_token"])
    assert answer.status_code == 401
    assert is_alive(tokens["access_token"])


def test_refresh_binds_the_session_to_a_legal_entity(visitor, tokens, customer):
    contact = ContactAssignmentFactory(customer=customer, legal_entity__tenant=customer.tenant)
    bound = refresh(visitor, tokens["refresh_token"], legalEntityId=contact.legal_entity.external_id).json()
    caller = verify_access_token(bound["access_token"], at=timezone.now())
    assert caller.legal_entity.external_id == contact.legal_entity.external_id
    again = refresh(visitor, bound["refresh_token"]).json()
    caller = verify_access_token(again["access_token"], at=timezone.now())
    assert caller.legal_entity.external_id == contact.legal_entity.external_id


def test_refresh_refuses_a_legal_entity_of_others_and_keeps_the_token(visitor, tokens, tenant):
    LegalEntityFactory(tenant=tenant, external_id="other")
    for legal_entity_id in ("other", "nobody"):
        answer = refresh(visitor, tokens["refresh_token"], legalEntityId=legal_entity_id)
        assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "legalEntityId")
    assert refresh(visitor, tokens["refresh_token"]).status_code == 200


def test_session_stops_acting_for_a_legal_entity_that_the_customer_left(visitor, tokens, customer):
    contact = ContactAssignmentFactory(customer=customer, legal_entity__tenant=customer.tenant)
    bound = refresh(visitor, tokens["refresh_token"], legalEntityId=contact.legal_entity.external_id).json()
    ContactAssignment.objects.all().delete()
    freed = refresh(visitor, bound["refresh_token"]).json()
    assert verify_access_token(freed["access_token"], at=timezone.now()).legal_entity is None


# Logout and validation


def test_logout_ends_the_session_of_the_token(tokens, django_capture_on_commit_callbacks):
    api = Api(tokens["access_token"])
    with django_capture_on_commit_callbacks(execute=True):
        answer = api.get("/customer/acme/logout", accessToken=tokens["access_token"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert not is_alive(tokens["access_token"])


def test_logout_falls_back_to_the_requests_own_token(visitor, tokens, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = Api(tokens["access_token"]).get("/customer/acme/logout")
    assert answer.status_code == 204
    assert not is_alive(tokens["access_token"])
    assert refresh(visitor, tokens["refresh_token"]).status_code == 401


def test_faulty_logout_is_refused(visitor, tokens, service_api, other_tenant):
    assert visitor.get("/customer/acme/logout").status_code == 403
    assert visitor.get("/customer/acme/logout", accessToken="unknown").status_code == 401
    assert Api(None).get("/customer/acme/logout", accessToken=tokens["access_token"]).status_code == 401
    stranger = service_api(tenant=other_tenant)
    answer = stranger.get("/customer/globex/logout", accessToken=tokens["access_token"])
    assert answer.status_code == 401
    assert is_alive(tokens["access_token"])


def test_validation_answers_what_the_token_says(tokens, customer):
    body = Api(tokens["access_token"]).get("/customer/acme/validateauthtoken").json()
    assert 14300 <= body.pop("expires_in") <= 14399
    assert body == {
        "token_type": "Bearer",
        "scope": " ".join([*sorted(CUSTOMER_SCOPES), "tenant=acme"]),
        "sessionId": tokens["session_id"],
        "email": "john@example.com",
    }


def test_validation_answers_the_legal_entity(customer_api, tenant):
    contact = ContactAssignmentFactory(legal_entity__tenant=tenant)
    api = customer_api(contact.customer, legal_entity=contact.legal_entity)
    body = api.get("/customer/acme/validateauthtoken").json()
    assert body["legalEntityId"] == contact.legal_entity.external_id


def test_validation_refuses_a_bad_token(storefront):
    answer = Api("unknown").get("/customer/acme/validateauthtoken")
    assert answer.status_code == 401
    assert answer.json() == {
        "fault": {
            "faultstring": "Invalid access token",
            "detail": {"errorcode": "oauth.v2.InvalidAccessToken"},
        }
    }
    assert answer["WWW-Authenticate"] == (
        'Bearer error="invalid_token",'
        ' error_description="The access token is malformed or was not issued by this service"'
    )


def test_401_says_whether_the_token_is_missing_expired_or_revoked(
    tokens, clock, django_capture_on_commit_callbacks
):
    def challenge(api):
        answer = api.get("/customer/acme/validateauthtoken")
        assert answer.status_code == 401
        return answer["WWW-Authenticate"]

    api = Api(tokens["access_token"])
    assert challenge(Api(None)) == 'Bearer error_description="The access token is missing"'
    with django_capture_on_commit_callbacks(execute=True):
        assert api.get("/customer/acme/logout").status_code == 204
    invalid = 'Bearer error="invalid_token", error_description='
    assert challenge(api) == f'{invalid}"The access token was revoked"'
    clock.advance(timedelta(hours=5))
    assert challenge(api) == f'{invalid}"The access token expired"'


@pytest.mark.parametrize(
    ("seconds", "address", "status"),
    [(10, "127.0.0.1", 200), (11, "127.0.0.1", 401), (1, "192.0.2.7", 401)],
)
def test_two_tabs_may_refresh_with_one_token_for_10_seconds(visitor, tokens, clock, seconds, address, status):
    first = refresh(visitor, tokens["refresh_token"]).json()
    clock.advance(timedelta(seconds=seconds))
    visitor.client.defaults["REMOTE_ADDR"] = address
    answer = refresh(visitor, tokens["refresh_token"])
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["session_id"] == first["session_id"]
        visitor.client.defaults["REMOTE_ADDR"] = "127.0.0.1"
        for later in (first, answer.json()):
            assert refresh(visitor, later["refresh_token"]).status_code == 200


def test_token_of_a_session_that_does_not_exist_is_refused(storefront, tenant, now):
    token = issue_access_token(
        tenant=tenant,
        kind=CallerKind.ANONYMOUS,
        client_id="shop",
        session_id=str(uuid.uuid4()),
        at=now,
    )
    assert not is_alive(token)
