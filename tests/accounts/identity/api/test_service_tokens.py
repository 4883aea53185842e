import base64
from datetime import timedelta

import jwt
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.errors import NoSigningKey, TokenRequestRefused
from accounts.identity.operations.clients import (
    change_api_client,
    create_api_client,
    grant_service_token,
    rotate_client_secret,
)
from accounts.identity.tokens import keys, verify_access_token
from accounts.identity.tokens.keys import signing_keys
from tests.conftest import web_client

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def backend(tenant, stored_signing_keys, now):
    client, secret = create_api_client(
        tenant=tenant,
        client_id="backend",
        scopes=["coupon.coupon_manage", "customersegment.segment_read"],
        at=now,
    )
    return client, secret


def request_token(headers=None, **form):
    return web_client().post(
        "/oauth/token",
        data="&".join(f"{key}={value}" for key, value in form.items()),
        content_type=FORM,
        headers=headers or {},
    )


def test_request_without_scope_grants_all_scopes_of_the_client(backend, tenant):
    _, secret = backend
    answer = request_token(grant_type="client_credentials", client_id="backend", client_secret=secret)
    body = answer.json()
    caller = verify_access_token(body.pop("access_token"), at=timezone.now())
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert body == {
        "token_type": "Bearer",
        "expires_in": 14399,
        "session_idle_time": 120,
        "refresh_token": "",
        "refresh_token_expires_in": 0,
        "scope": "tenant=acme coupon.coupon_manage customersegment.segment_read",
    }
    assert caller.tenant.name == "acme"
    assert caller.client_id == "backend"


def test_a_secret_key_that_no_token_can_be_signed_with_is_no_fault_without_a_word(
    backend, settings, monkeypatch, caplog
):
    monkeypatch.setattr(keys, "private_keys", keys.PrivateKeys())
    settings.SECRET_KEY = "another secret key that is long enough to be taken for a real one"
    answer = request_token(grant_type="client_credentials", client_id="backend", client_secret=backend[1])
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert str(NoSigningKey()) in answer.text
    assert f"{keys.UNREADABLE_KEY} {keys.UNREADABLE_KEY_REMEDY}" in caplog.messages


def test_scope_narrows_what_is_granted(backend):
    answer = request_token(
        grant_type="client_credentials",
        client_id="backend",
        client_secret=backend[1],
        scope="coupon.coupon_read+tenant=acme",
    )
    assert answer.json()["scope"] == "tenant=acme coupon.coupon_read"
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["scope"] == "coupon.coupon_read"


def test_client_may_identify_itself_by_http_basic(backend):
    credentials = base64.b64encode(f"backend:{backend[1]}".encode()).decode()
    answer = request_token(
        {"Authorization": f"Basic {credentials}"}, grant_type="client_credentials", scope="tenant=acme"
    )
    assert answer.status_code == 200
    assert answer.json()["scope"] == "tenant=acme coupon.coupon_manage customersegment.segment_read"


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"scope": "site.site_manage"}, 400, "invalid_scope"),
        ({"scope": "tenant=globex"}, 400, "invalid_scope"),
        ({"scope": "coupon.coupon_read&scope=coupon.coupon_manage"}, 400, "invalid_request"),
        ({"scope": "a" * 4001}, 400, "invalid_request"),
    ],
)
def test_faulty_request_is_refused_as_rfc_6749_says(backend, change, status, error):
    form = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": backend[1], **change}
    answer = request_token(**form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer["Cache-Control"] == "no-store"
    assert answer.has_header("WWW-Authenticate") == (status == 401)


def test_malformed_basic_header_is_refused(backend):
    answer = request_token({"Authorization": "Basic ***"}, grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_secret_in_form_and_header_is_refused(backend):
    credentials = base64.b64encode(f"backend:{backend[1]}".encode()).decode()
    answer = request_token(
        {"Authorization": f"Basic {credentials}"}, grant_type="client_credentials", client_secret=backend[1]
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_json_body_is_answered_to_send_a_form(backend):
    answer = web_client().post(
        "/oauth/token", data={"grant_type": "client_credentials"}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "error": "invalid_request",
            "error_description": "Send the parameters as a form, with Content-Type"
            " application/x-www-form-urlencoded, not as application/json.",
        },
    )


def test_multipart_body_is_answered_to_send_a_form(backend):
    answer = web_client().post("/oauth/token", data={"grant_type": "client_credentials"})
    assert answer.status_code == 400
    assert "not as multipart/form-data" in answer.json()["error_description"]


@pytest.mark.parametrize("method", ["post", "get"])
def test_what_is_wrong_before_the_form_is_read_is_said_as_rfc_6749_says(client, method):
    response = getattr(client, method)("/oauth/token?a=%00")
    assert response.status_code == {"post": 400, "get": 405}[method]
    assert response.json()["error"] == "invalid_request"
    assert response.json()["error_description"]


def test_inactive_client_gets_no_token(backend):
    client, secret = backend
    change_api_client(client=client, is_active=False)
    answer = request_token(grant_type="client_credentials", client_id="backend", client_secret=secret)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_client_of_inactive_tenant_gets_no_token(backend, tenant):
    tenant.is_active = False
    tenant.save()
    answer = request_token(grant_type="client_credentials", client_id="backend", client_secret=backend[1])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_both_secrets_are_good_while_they_overlap(backend, now):
    client, old = backend
    new = rotate_client_secret(client=client, at=now, keep_others_for=timedelta(days=1))
    for secret in (old, new):
        answer = request_token(grant_type="client_credentials", client_id="backend", client_secret=secret)
        assert answer.status_code == 200


def test_replaced_secret_is_dead_without_an_overlap(backend, now):
    client, old = backend
    rotate_client_secret(client=client, at=now)
    answer = request_token(grant_type="client_credentials", client_id="backend", client_secret=old)
    assert answer.status_code == 401


def test_service_token_takes_one_statement_and_then_none(backend, django_assert_num_queries):
    form = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": backend[1]}
    signing_keys.ring()
    for statements in (1, 0):
        with django_assert_num_queries(statements):
            assert request_token(**form).status_code == 200


def guess(client_id="backend", address="192.0.2.1"):
    return web_client().post(
        "/oauth/token",
        data=f"grant_type=client_credentials&client_id={client_id}&client_secret=wrong",
        content_type=FORM,
        REMOTE_ADDR=address,
    )


def test_wrong_secrets_are_limited_by_client_and_address(backend):
    for _ in range(5):
        assert guess().status_code == 401
    answer = guess()
    wait = answer["Retry-After"]
    assert 840 <= int(wait) <= 900
    assert (answer.status_code, answer["Cache-Control"], answer.json()) == (
        429,
        "no-store",
        {
            "error": "too_many_requests",
            "error_description": f"Too many failed attempts; try again in {wait} seconds.",
        },
    )
    assert guess(address="192.0.2.2").status_code == 401
    assert guess(client_id="nobody").status_code == 401


def test_wrong_secrets_are_limited_by_address_over_all_clients(backend):
    assert {guess(client_id=f"client-{number}").status_code for number in range(100)} == {401}
    assert guess(client_id="another").status_code == 429
    assert guess(client_id="another", address="192.0.2.2").status_code == 401


def test_strangers_at_the_address_of_a_client_do_not_lock_it_out(backend, django_assert_num_queries):
    for _ in range(101):
        guess(address="127.0.0.1")
    form = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": backend[1]}
    signing_keys.ring()
    assert guess(address="127.0.0.1").status_code == 429
    with django_assert_num_queries(0):
        assert request_token(**form).status_code == 200


def test_secret_that_was_replaced_is_refused_although_the_client_is_remembered(
    backend, now, django_capture_on_commit_callbacks
):
    client, old = backend
    form = {"grant_type": "client_credentials", "client_id": "backend", "client_secret": old}
    assert request_token(**form).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        rotate_client_secret(client=client, at=now)
    assert request_token(**form).status_code == 401


def test_remembered_secret_ends_when_it_expires(backend, now):
    client, old = backend
    rotate_client_secret(client=client, at=now, keep_others_for=timedelta(minutes=1))
    asked = {"client_id": "backend", "client_secret": old, "scope": "", "address": ""}
    grant_service_token(**asked, at=now + timedelta(seconds=59))
    with pytest.raises(TokenRequestRefused):
        grant_service_token(**asked, at=now + timedelta(seconds=60))


def test_key_set_shows_only_public_keys(client, stored_signing_keys, key_pairs):
    answer = client.get("/.well-known/jwks.json")
    keys = answer.json()["keys"]
    assert [key["kid"] for key in keys] == [key.kid for key in key_pairs]
    assert [set(key) for key in keys] == [{"kty", "kid", "use", "alg", "n", "e"}] * 2
    assert answer["Cache-Control"] == "public, max-age=300"


def test_key_set_verifies_a_token(backend, client):
    token = request_token(
        grant_type="client_credentials", client_id="backend", client_secret=backend[1]
    ).json()
    key_set = jwt.PyJWKSet.from_dict(client.get("/.well-known/jwks.json").json())
    kid = jwt.get_unverified_header(token["access_token"])["kid"]
    claims = jwt.decode(
        token["access_token"],
        key_set[kid].key,
        algorithms=["RS256"],
        options={"verify_exp": False},  # PyJWT reads the clock of the machine
    )
    assert (claims["sub"], claims["tenant"], claims["kind"]) == ("backend", "acme", "service")


@pytest.mark.parametrize("is_remembered", [True, False])
def test_wrong_secret_costs_the_same_whether_the_client_is_known(backend, monkeypatch, is_remembered):
    compared = []
    monkeypatch.setattr(
        "accounts.identity.operations.clients.is_digest_of", lambda *pair: compared.append(pair)
    )
    costs = []
    for client_id in ("backend", "nobody"):
        if is_remembered:
            refused_token(client_id)
        compared.clear()
        with CaptureQueriesContext(connection) as statements:
            refused_token(client_id)
        costs.append((len(compared), [row["sql"].split()[0] for row in statements]))
    assert costs[0] == costs[1]
    assert len(costs[0][1]) == 2  # the client, and the counter of failures


def refused_token(client_id):
    with pytest.raises(TokenRequestRefused):
        grant_service_token(
            client_id=client_id, client_secret="wrong", scope="", address="", at=timezone.now()
        )
