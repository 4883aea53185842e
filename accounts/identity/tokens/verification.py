"""Accepts access tokens, or refuses them.

Two things are remembered of a token that was good: what it says, for a minute, and that the database has
not revoked it, for some seconds and until the machine's revocation stamp changes. So a token that was
seen before costs a look into a dictionary, and no statement.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt
from django.conf import settings
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.errors import AccessTokenExpired, AccessTokenRevoked, InvalidAccessToken
from accounts.identity.scopes import scopes_of_claim
from accounts.identity.tokens.issuing import ACCESS_TOKEN_TYPE
from accounts.identity.tokens.keys import ALGORITHM, signing_keys
from accounts.identity.tokens.revocations import STAMP_LENGTH, make_room, revocation_stamp
from core.json_types import JsonObject
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from core.tenancy.callers import Caller, CallerKind, Identity, TenantRecord

LONGEST_TOKEN = 8_000
REMEMBERED_TOKENS = 8_192
SIGNATURE_LIFETIME = timedelta(seconds=60)
CLOCK_TOLERANCE = 60  # seconds by which the clocks of two machines may differ


@dataclass(frozen=True, slots=True)
class AcceptedToken:
    """What a token says, and until when nobody needs to ask the database whether it still holds.

    Valid only under `stamp`: the revocation stamp that was read before the database was asked.
    """

    caller: Caller
    claims: JsonObject
    verified_at: datetime
    forget_at: datetime
    check_again_at: datetime
    stamp: bytes


_accepted: dict[str, AcceptedToken] = {}


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access token>`; without the header `request.user` is DRF's AnonymousUser.

    Otherwise `request.user` is the caller, and `request.auth` the accepted token with its claims.
    """

    def authenticate(self, request: Request) -> tuple[Caller, AcceptedToken] | None:
        header = request._request.META.get("HTTP_AUTHORIZATION", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return None
        accepted = accept_token(token.strip(), at=timezone.now())
        return accepted.caller, accepted

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def verify_access_token(token: str, *, at: datetime) -> Caller:
    """Return the caller that the token names; raises as `accept_token` does."""
    return accept_token(token, at=at).caller


def accept_token(token: str, *, at: datetime) -> AcceptedToken:
    """Return the token's caller and claims.

    Raises AccessTokenExpired, InvalidAccessToken when the service did not issue the token for itself, and
    AccessTokenRevoked when its session has ended, its client, tenant or customer is not active (any more), or
    its customer is no contact of the legal entity that it acts for.
    """
    stamp = revocation_stamp().shared[:STAMP_LENGTH]
    known = _accepted.get(token)
    if known is not None and known.stamp == stamp and known.verified_at <= at < known.check_again_at:
        return known
    if known is not None and known.verified_at <= at < known.forget_at:
        claims = known.claims
    else:
        claims = read_claims(token, at=at)
    tenant = tenant_of_live_token(claims, at=at)
    if tenant is None:
        _accepted.pop(token, None)
        raise AccessTokenRevoked
    caller = caller_of(claims, tenant)
    if known is not None and known.claims is claims:
        verified_at, forget_at = known.verified_at, known.forget_at
    else:
        verified_at, forget_at = at, min(caller.expires_at, at + SIGNATURE_LIFETIME)
    check_again_at = min(forget_at, at + timedelta(seconds=settings.TOKEN_STATE_LIFETIME))
    accepted = AcceptedToken(caller, claims, verified_at, forget_at, check_again_at, stamp)
    remember(token, accepted)
    return accepted


def read_claims(token: str, *, at: datetime, expired_for: int = 0) -> JsonObject:
    """Return what an access token says; raise AccessTokenExpired or InvalidAccessToken otherwise.

    The algorithm, the type, the issuer and the audience are fixed, whatever the token names, and the key is
    one of the service. A token is not good before its `nbf`, nor when it was issued in the future. A token
    that expired less than `expired_for` seconds ago is read as well.
    """
    if not token or len(token) > LONGEST_TOKEN:
        raise InvalidAccessToken
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != ACCESS_TOKEN_TYPE:
            raise InvalidAccessToken
        key = signing_keys.public_key(str(header.get("kid", "")))
        if key is None:
            raise InvalidAccessToken
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=settings.TOKEN_ISSUER,
            # The clock of the request decides about the times, not one that PyJWT reads.
            options={
                "verify_aud": False,  # absent from the tokens that the service signs
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "require": ["exp", "iat", "iss", "sub", "tenant", "kind", "client_id", "scope"],
            },
        )
    except jwt.PyJWTError:
        raise InvalidAccessToken from None
    audience = claims.get("aud", settings.TOKEN_ISSUER)
    begins = max(claims["iat"], claims.get("nbf", 0))
    if settings.TOKEN_ISSUER not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidAccessToken
    if begins > at.timestamp() + CLOCK_TOLERANCE:
        raise InvalidAccessToken
    if at.timestamp() >= claims["exp"] + expired_for:
        raise AccessTokenExpired
    return claims


STATE = """
SELECT tenant.id, tenant.name, tenant.default_language, tenant.languages, tenant.currency,
  tenant.limit_reached
FROM tenancy_tenant AS tenant
JOIN identity_apiclient AS client ON client.tenant_id = tenant.id
WHERE tenant.name = {tenant} AND tenant.is_active
  AND client.client_id = {client} AND client.is_active
  AND (client.tokens_not_before IS NULL OR client.tokens_not_before <= to_timestamp({issued_at}))
"""
SESSION_STATE = """
  AND EXISTS (
    SELECT 1 FROM identity_session AS session
    WHERE session.session_id = {session}::uuid AND session.tenant_id = tenant.id
      AND session.client_id = client.id
      AND ({customer}::bigint IS NULL OR session.customer_id = {customer}::bigint)
      AND session.revoked_at IS NULL AND session.expires_at > {at}
  )
"""
CUSTOMER_STATE = """
  AND EXISTS (
    SELECT 1 FROM accounts_customer AS customer
    WHERE customer.tenant_id = tenant.id AND customer.id = {customer}
      AND customer.is_active AND NOT customer.is_on_hold
  )
"""
CONTACT_STATE = """
  AND EXISTS (
    SELECT 1 FROM accounts_contactassignment AS contact
    WHERE contact.tenant_id = tenant.id AND contact.customer_id = {customer}
      AND contact.legal_entity_id = {legal_entity}
  )
"""


def tenant_of_live_token(claims: JsonObject, *, at: datetime) -> TenantRecord | None:
    """Return the tenant of a token that nothing has revoked; None for one that something has.

    Takes one statement over tenant, client, session, customer and contact assignment.
    """
    template = STATE
    known = {"tenant": claims["tenant"], "client": claims["client_id"], "issued_at": claims["iat"]}
    if "session_id" in claims:
        template += SESSION_STATE
        known |= {"session": claims["session_id"], "customer": claims.get("customer_key"), "at": at}
    if "customer_key" in claims:
        template += CUSTOMER_STATE
    if "legal_entity_key" in claims:
        template += CONTACT_STATE
        known["legal_entity"] = claims["legal_entity_key"]
    rows = fetch_rows(sql(template, **{name: param(value) for name, value in known.items()}))
    row = rows[0] if rows else None
    if row is None:
        return None
    key, name, default_language, languages, currency, limit_reached = row
    return TenantRecord(key, name, default_language, tuple(languages), currency, limit_reached)


def caller_of(claims: JsonObject, tenant: TenantRecord) -> Caller:
    """Return the caller that verified claims describe."""
    return Caller(
        tenant=tenant,
        kind=CallerKind(claims["kind"]),
        client_id=claims["client_id"],
        scopes=scopes_of_claim(claims["scope"]),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        session_id=claims.get("session_id", ""),
        customer=Identity(claims["customer_key"], claims["sub"]) if "customer_key" in claims else None,
        legal_entity=(
            Identity(claims["legal_entity_key"], claims["legal_entity_id"])
            if "legal_entity_key" in claims
            else None
        ),
    )


def remember(token: str, accepted: AcceptedToken) -> None:
    """Keep the token in mind; the oldest make room when there are too many."""
    _accepted.pop(token, None)
    _accepted[token] = accepted
    make_room(_accepted, REMEMBERED_TOKENS)


def forget_accepted_tokens() -> None:
    """Verify every token anew."""
    _accepted.clear()
