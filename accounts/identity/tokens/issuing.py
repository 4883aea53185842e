"""Signs access tokens."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime

import jwt
from django.conf import settings

from accounts.identity.scopes import ANONYMOUS_SCOPES, CUSTOMER_SCOPES
from accounts.identity.tokens.keys import ALGORITHM, signing_keys
from accounts.models import Customer, LegalEntity
from core.json_types import JsonObject
from core.tenancy.callers import CallerKind
from core.tenancy.models import Tenant

ACCESS_TOKEN_TYPE = "at+jwt"  # noqa: S105 - RFC 9068: distinguishes it from a saas token
SAAS_TOKEN_TYPE = "JWT"  # noqa: S105


def lifetime_of(kind: CallerKind) -> int:
    """Return how long an access token of the kind lives, in seconds."""
    match kind:
        case CallerKind.SERVICE:
            return settings.SERVICE_TOKEN_LIFETIME
        case CallerKind.ANONYMOUS:
            return settings.ANONYMOUS_TOKEN_LIFETIME
        case CallerKind.CUSTOMER:
            return settings.CUSTOMER_TOKEN_LIFETIME


SCOPES_OF_KIND = {CallerKind.CUSTOMER: CUSTOMER_SCOPES, CallerKind.ANONYMOUS: ANONYMOUS_SCOPES}


def issue_access_token(
    *,
    tenant: Tenant,
    kind: CallerKind,
    client_id: str,
    scopes: Iterable[str] = (),
    at: datetime,
    lifetime: int | None = None,
    session_id: str = "",
    customer: Customer | None = None,
    legal_entity: LegalEntity | None = None,
) -> str:
    """Return a signed access token that is good from `at` for `lifetime` seconds (default: that of its kind).

    A customer's or anonymous token without scopes named carries those that every one of its kind has. The
    token says all that a request needs to know of its caller, so that accepting it needs no statement.
    """
    granted = tuple(scopes) or SCOPES_OF_KIND.get(kind, ())
    claims: JsonObject = {
        "sub": customer.external_id if customer else session_id or client_id,
        "kind": kind.value,
        "client_id": client_id,
        "scope": " ".join(granted),
    }
    if session_id:
        claims["session_id"] = session_id
    if customer:
        claims["customer_key"] = customer.pk
    if legal_entity:
        claims["legal_entity_key"] = legal_entity.pk
        claims["legal_entity_id"] = legal_entity.external_id
    return sign_claims(
        claims, tenant=tenant.name, at=at, lifetime=lifetime or lifetime_of(kind), type=ACCESS_TOKEN_TYPE
    )


def issue_saas_token(*, tenant: Tenant, customer: Customer, session_id: str, at: datetime) -> str:
    """Return a signed token that says to other services who the customer is; the API does not accept it."""
    return sign_claims(
        {"sub": customer.external_id, "session_id": session_id},
        tenant=tenant.name,
        at=at,
        lifetime=settings.CUSTOMER_TOKEN_LIFETIME,
        type=SAAS_TOKEN_TYPE,
    )


def sign_claims(claims: Mapping[str, object], *, tenant: str, at: datetime, lifetime: int, type: str) -> str:
    """Return the claims, and who says so and for how long, signed with the active key.

    `iat` has milliseconds: a token issued right after a revocation is distinguished from those before it.
    """
    ring = signing_keys.ring()
    issued_at = round(at.timestamp(), 3)
    return jwt.encode(
        {
            "iss": settings.TOKEN_ISSUER,
            "tenant": tenant,
            "iat": issued_at,
            "exp": int(issued_at) + lifetime,
            "jti": secrets.token_urlsafe(12),
            **claims,
        },
        ring.private_key,
        algorithm=ALGORITHM,
        headers={"kid": ring.active_kid, "typ": type},
    )
