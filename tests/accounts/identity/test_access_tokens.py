from datetime import timedelta
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from django.core.exceptions import ImproperlyConfigured

from accounts.errors import AccessTokenExpired, InvalidAccessToken, NoSigningKey
from accounts.identity.checks import check_signing_key
from accounts.identity.models import ApiClient, SigningKey
from accounts.identity.operations.clients import change_api_client, revoke_client_tokens
from accounts.identity.operations.signing_keys import rotate_signing_keys
from accounts.identity.scopes import CUSTOMER_SCOPES
from accounts.identity.tokens import issue_access_token, keys, verification, verify_access_token
from accounts.identity.tokens.issuing import issue_saas_token
from accounts.identity.tokens.keys import decrypted, public_key_of, signing_keys
from accounts.identity.tokens.revocations import RevocationStamp, revocation_stamp
from accounts.models import ContactAssignment
from core.tenancy.callers import CallerKind, Identity
from tests.factories.accounts import (
    ApiClientFactory,
    ContactAssignmentFactory,
    CustomerFactory,
    SessionFactory,
)

CLAIMS = {
    "iss": "customer-segment-service",
    "sub": "backend",
    "tenant": "acme",
    "kind": "service",
    "client_id": "backend",
    "scope": "coupon.coupon_manage",
}


@pytest.fixture
def backend(tenant, stored_signing_keys):
    return ApiClientFactory(tenant=tenant, client_id="backend")


@pytest.fixture
def token(backend, tenant, now):
    return issue_access_token(
        tenant=tenant, kind=CallerKind.SERVICE, client_id="backend", scopes=["coupon.coupon_manage"], at=now
    )


@pytest.fixture
def shopper(tenant, stored_signing_keys, now):
    """A customer who acts for a legal entity in a session, with a token."""
    contact = ContactAssignmentFactory(legal_entity__tenant=tenant)
    session = SessionFactory(
        client__tenant=tenant,
        customer=contact.customer,
        legal_entity=contact.legal_entity,
        created_at=now - timedelta(seconds=1),
    )
    token = issue_access_token(
        tenant=tenant,
        kind=CallerKind.CUSTOMER,
        client_id=session.client.client_id,
        session_id=str(session.session_id),
        customer=contact.customer,
        legal_entity=contact.legal_entity,
        at=now,
    )
    return SimpleNamespace(contact=contact, session=session, token=token, customer=contact.customer)


def signed(key_pair, now, *, algorithm="RS256", key=None, headers=None, **claims):
    content = {**CLAIMS, "iat": now.timestamp(), "exp": int(now.timestamp()) + 60, **claims}
    headers = {"kid": key_pair.kid, "typ": "at+jwt", **(headers or {})}
    return jwt.encode(content, decrypted(key_pair) if key is None else key, algorithm, headers=headers)


def test_service_token_names_its_tenant_client_and_scopes(token, tenant, now):
    caller = verify_access_token(token, at=now)
    assert caller.tenant.id == tenant.pk
    assert caller.tenant.languages == ("en", "de")
    assert (caller.kind, caller.client_id, caller.session_id) == (CallerKind.SERVICE, "backend", "")
    assert caller.scopes == {"coupon.coupon_manage", "coupon.coupon_read"}
    assert caller.expires_at == now.replace(microsecond=0) + timedelta(seconds=14399)


def test_customer_token_names_customer_session_and_legal_entity(shopper, now):
    caller = verify_access_token(shopper.token, at=now)
    contact = shopper.contact
    assert caller.customer == Identity(contact.customer.pk, contact.customer.external_id)
    assert caller.legal_entity == Identity(contact.legal_entity.pk, contact.legal_entity.external_id)
    assert caller.session_id == str(shopper.session.session_id)
    assert caller.scopes == frozenset(CUSTOMER_SCOPES)


def test_tokens_with_the_same_scopes_share_them_in_memory(backend, tenant, now):
    """Thousands of tokens are remembered."""
    first, second = (
        issue_access_token(
            tenant=tenant,
            kind=CallerKind.SERVICE,
            client_id="backend",
            scopes=["coupon.coupon_manage"],
            at=at,
        )
        for at in (now, now - timedelta(seconds=1))
    )
    assert first != second
    assert verify_access_token(first, at=now).scopes is verify_access_token(second, at=now).scopes


def test_token_seen_before_takes_no_statement(token, now, django_assert_num_queries):
    with django_assert_num_queries(1):
        verify_access_token(token, at=now)
    with django_assert_num_queries(0):
        verify_access_token(token, at=now + timedelta(seconds=3))


def test_state_is_checked_again_when_its_lifetime_is_over(token, now, settings, django_assert_num_queries):
    settings.TOKEN_STATE_LIFETIME = 5
    verify_access_token(token, at=now)
    with django_assert_num_queries(0):
        verify_access_token(token, at=now + timedelta(seconds=4.999))
    with django_assert_num_queries(1):
        verify_access_token(token, at=now + timedelta(seconds=5))


def test_token_is_good_until_the_second_it_expires(token, now):
    expires_at = now.replace(microsecond=0) + timedelta(seconds=14399)
    verify_access_token(token, at=expires_at - timedelta(milliseconds=1))
    with pytest.raises(AccessTokenExpired, match="Access Token expired"):
        verify_access_token(token, at=expires_at)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "ä", "e30.e30.e30", "x" * 9000, "....", "e30"])
def test_text_that_is_no_token_is_refused(text, backend, now):
    with pytest.raises(InvalidAccessToken, match="Invalid access token"):
        verify_access_token(text, at=now)


def test_hand_signed_token_with_all_claims_is_accepted(backend, key_pairs, now):
    assert verify_access_token(signed(key_pairs[0], now), at=now).client_id == "backend"


def test_unsigned_token_is_refused(backend, key_pairs, now):
    token = signed(key_pairs[0], now, algorithm="none", key="")
    with pytest.raises(InvalidAccessToken):
        verify_access_token(token, at=now)


def test_public_key_is_no_shared_secret(backend, key_pairs, now, monkeypatch):
    pem = public_key_of(key_pairs[0]).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    # PyJWT itself refuses to sign like this; an attacker's library does not
    monkeypatch.setattr(jwt.algorithms.HMACAlgorithm, "prepare_key", lambda self, key: key)
    token = signed(key_pairs[0], now, algorithm="HS256", key=pem)
    with pytest.raises(InvalidAccessToken):
        verify_access_token(token, at=now)


def test_tampered_token_is_refused(token, backend, now):
    head, _, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = jwt.encode({**claims, "scope": "site.site_manage"}, "x" * 32).split(".")[1]
    with pytest.raises(InvalidAccessToken):
        verify_access_token(f"{head}.{forged}.{signature}", at=now)


@pytest.mark.parametrize("headers", [{"kid": "unknown"}, {"kid": ""}, {"typ": "JWT"}, {"typ": None}], ids=str)
def test_token_with_another_key_or_type_is_refused(headers, backend, key_pairs, now):
    with pytest.raises(InvalidAccessToken):
        verify_access_token(signed(key_pairs[0], now, headers=headers), at=now)


def test_token_of_the_wrong_key_is_refused(backend, key_pairs, now):
    token = signed(key_pairs[0], now, headers={"kid": key_pairs[1].kid})
    with pytest.raises(InvalidAccessToken):
        verify_access_token(token, at=now)


@pytest.mark.parametrize(
    "claims",
    [{"iss": "somebody-else"}, {"tenant": "globex"}, {"tenant": "nobody"}, {"client_id": "nobody"}],
    ids=str,
)
def test_token_of_another_issuer_tenant_or_client_is_refused(claims, backend, other_tenant, key_pairs, now):
    with pytest.raises(InvalidAccessToken):
        verify_access_token(signed(key_pairs[0], now, **claims), at=now)


@pytest.mark.parametrize(
    ("claims", "is_good"),
    [
        ({"nbf": -5}, True),
        ({"nbf": 59}, True),
        ({"nbf": 61}, False),
        ({"iat": 59}, True),
        ({"iat": 61}, False),
    ],
    ids=str,
)
def test_token_is_refused_before_its_time(claims, is_good, backend, key_pairs, now):
    shifted = {name: now.timestamp() + seconds for name, seconds in claims.items()}
    token = signed(key_pairs[0], now, **shifted, exp=int(now.timestamp()) + 600)
    if is_good:
        assert verify_access_token(token, at=now).client_id == "backend"
    else:
        with pytest.raises(InvalidAccessToken):
            verify_access_token(token, at=now)


@pytest.mark.parametrize(
    ("audience", "is_good"),
    [("{issuer}", True), (["other", "{issuer}"], True), ("other", False), ([], False), ({}, False)],
    ids=str,
)
def test_token_for_another_audience_is_refused(audience, is_good, backend, key_pairs, now, settings):
    fill = lambda text: text.replace("{issuer}", settings.TOKEN_ISSUER)  # noqa: E731
    aud = list(map(fill, audience)) if isinstance(audience, list) else audience
    token = signed(key_pairs[0], now, aud=fill(aud) if isinstance(aud, str) else aud)
    if is_good:
        assert verify_access_token(token, at=now).client_id == "backend"
    else:
        with pytest.raises(InvalidAccessToken):
            verify_access_token(token, at=now)


def test_saas_token_is_no_access_token(tenant, stored_signing_keys, now):
    customer = CustomerFactory(tenant=tenant)
    token = issue_saas_token(tenant=tenant, customer=customer, session_id="s", at=now)
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == customer.external_id
    with pytest.raises(InvalidAccessToken):
        verify_access_token(token, at=now)


def test_flood_of_unknown_key_ids_does_not_read_the_keys_each_time(
    backend, key_pairs, now, django_assert_num_queries
):
    signing_keys.ring()
    with django_assert_num_queries(0):
        for number in range(5):
            with pytest.raises(InvalidAccessToken):
                verify_access_token(signed(key_pairs[0], now, headers={"kid": f"k{number}"}), at=now)


def revoke_client(shopper, at):
    revoke_client_tokens(client=shopper.session.client, at=at)


def deactivate_client(shopper, at):
    change_api_client(client=shopper.session.client, is_active=False)


def deactivate_tenant(shopper, at):
    tenant = shopper.session.tenant
    tenant.is_active = False
    tenant.save()


def end_session(shopper, at):
    shopper.session.revoked_at = at
    shopper.session.save()


def let_session_expire(shopper, at):
    shopper.session.expires_at = at
    shopper.session.save()


def put_on_hold(shopper, at):
    shopper.customer.is_on_hold = True
    shopper.customer.save()


def deactivate_customer(shopper, at):
    shopper.customer.is_active = False
    shopper.customer.save()


def delete_customer(shopper, at):
    shopper.customer.delete()


def remove_contact(shopper, at):
    ContactAssignment.objects.all().delete()


@pytest.mark.parametrize(
    "revocation",
    [
        revoke_client,
        deactivate_client,
        deactivate_tenant,
        end_session,
        let_session_expire,
        put_on_hold,
        deactivate_customer,
        delete_customer,
        remove_contact,
    ],
)
def test_revoked_token_is_refused_as_soon_as_the_stamp_changes(revocation, shopper, now):
    later = now + timedelta(seconds=1)
    verify_access_token(shopper.token, at=now)
    revocation(shopper, later)
    revocation_stamp().replace()
    with pytest.raises(InvalidAccessToken):
        verify_access_token(shopper.token, at=later)


def test_change_of_the_stamp_leaves_good_tokens_good(shopper, now, django_assert_num_queries):
    verify_access_token(shopper.token, at=now)
    revocation_stamp().replace()
    with django_assert_num_queries(1):
        verify_access_token(shopper.token, at=now)
    with django_assert_num_queries(0):
        verify_access_token(shopper.token, at=now)


def test_revocation_while_the_state_is_read_is_not_overlooked(token, backend, now, monkeypatch):
    """The stamp that counts is the one before the statement: what changes meanwhile must be noticed."""
    read_state = verification.tenant_of_live_token

    def revoke_right_after_reading(claims, *, at):
        tenant = read_state(claims, at=at)
        ApiClient.objects.update(is_active=False)
        revocation_stamp().replace()
        return tenant

    monkeypatch.setattr(verification, "tenant_of_live_token", revoke_right_after_reading)
    verify_access_token(token, at=now)
    monkeypatch.undo()
    with pytest.raises(InvalidAccessToken):
        verify_access_token(token, at=now)


def test_operations_announce_revocations_when_they_commit(backend, now, django_capture_on_commit_callbacks):
    before = revocation_stamp().read()
    with django_capture_on_commit_callbacks(execute=True):
        revoke_client_tokens(client=backend, at=now)
        assert revocation_stamp().read() == before
    assert revocation_stamp().read() != before


def test_token_issued_after_the_clients_tokens_were_revoked_is_good(backend, tenant, now):
    revoke_client_tokens(client=backend, at=now)
    issued = {"tenant": tenant, "kind": CallerKind.SERVICE, "client_id": "backend"}
    before = issue_access_token(**issued, at=now - timedelta(milliseconds=1))
    after = issue_access_token(**issued, at=now)
    with pytest.raises(InvalidAccessToken):
        verify_access_token(before, at=now)
    assert verify_access_token(after, at=now).client_id == "backend"


def test_remembered_tokens_are_bounded(backend, tenant, now, monkeypatch):
    monkeypatch.setattr(verification, "REMEMBERED_TOKENS", 8)
    verification.forget_accepted_tokens()
    for _ in range(20):
        token = issue_access_token(tenant=tenant, kind=CallerKind.SERVICE, client_id="backend", at=now)
        verify_access_token(token, at=now)
    assert len(verification._accepted) <= 8
    assert token in verification._accepted


def test_rotation_signs_with_the_next_key_and_keeps_the_retired_one(
    token, tenant, key_pairs, now, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        rotate_signing_keys(at=now)
    new = issue_access_token(tenant=tenant, kind=CallerKind.SERVICE, client_id="backend", at=now)
    assert jwt.get_unverified_header(token)["kid"] == key_pairs[0].kid
    assert jwt.get_unverified_header(new)["kid"] == key_pairs[1].kid
    verification.forget_accepted_tokens()
    assert verify_access_token(token, at=now).client_id == "backend"
    assert verify_access_token(new, at=now).client_id == "backend"
    assert sorted(SigningKey.objects.values_list("status", flat=True)) == ["active", "next", "retired"]


def test_retired_key_leaves_the_key_set_when_its_last_token_has_expired(
    stored_signing_keys, client, key_pairs, now, monkeypatch
):
    rotate_signing_keys(at=now - timedelta(seconds=14399 + 20))
    kids = [key["kid"] for key in client.get("/.well-known/jwks.json").json()["keys"]]
    assert key_pairs[0].kid in kids
    SigningKey.objects.filter(status="retired").update(retired_at=now - timedelta(seconds=14399 + 61))
    kids = [key["kid"] for key in client.get("/.well-known/jwks.json").json()["keys"]]
    assert key_pairs[0].kid not in kids
    assert len(kids) == 2
    rotate_signing_keys(at=now)
    assert not SigningKey.objects.filter(kid=key_pairs[0].kid).exists()


def test_rotation_replaces_keys_that_another_secret_key_encrypted(stored_signing_keys, now, settings):
    settings.SECRET_KEY = "another secret key that is long enough to be taken for a real one"
    old = set(SigningKey.objects.values_list("kid", flat=True))
    active = rotate_signing_keys(at=now)
    assert active.kid not in old
    assert decrypted(active).key_size == 2048


def test_another_secret_key_stops_signing_but_not_verifying(
    tenant, token, now, settings, monkeypatch, caplog
):
    monkeypatch.setattr(keys, "private_keys", keys.PrivateKeys())
    verification.forget_accepted_tokens()
    signing_keys.forget()
    settings.SECRET_KEY = "another secret key that is long enough to be taken for a real one"
    assert verify_access_token(token, at=now).client_id == "backend"
    with pytest.raises(NoSigningKey):
        issue_access_token(tenant=tenant, kind=CallerKind.SERVICE, client_id="backend", at=now)
    assert caplog.messages == [f"{keys.UNREADABLE_KEY} {keys.UNREADABLE_KEY_REMEDY}"]


def test_another_secret_key_is_found_before_it_meets_a_client(stored_signing_keys, now, settings):
    assert check_signing_key(databases=["default"]) == []
    settings.SECRET_KEY = "another secret key that is long enough to be taken for a real one"
    assert check_signing_key(databases=None) == []
    [error] = check_signing_key(databases=["default"])
    assert (error.id, error.msg) == ("identity.E001", keys.UNREADABLE_KEY)
    assert "manage.py rotate_signing_keys" in error.hint
    rotate_signing_keys(at=now)
    assert check_signing_key(databases=["default"]) == []


def test_a_database_without_keys_is_fit_for_any_secret_key(db):
    assert not SigningKey.objects.exists()
    assert check_signing_key(databases=["default"]) == []


def test_former_secret_key_still_decrypts(stored_signing_keys, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another secret key that is long enough to be taken for a real one"
    assert decrypted(SigningKey.objects.get(status="active")).key_size == 2048


def test_unwritable_stamp_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImproperlyConfigured, match="run all processes of the service as one user"):
        RevocationStamp(tmp_path / "file" / "revocations")


def test_stamp_is_shared_by_all_who_open_its_file(tmp_path):
    mine, theirs = (RevocationStamp(tmp_path / "var" / "revocations") for _ in range(2))
    before = theirs.read()
    mine.replace()
    assert theirs.read() == mine.read() != before
