"""Visits to a storefront: anonymous sessions, logins, refreshes, logouts."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.errors import (
    InvalidAccessToken,
    InvalidCredentials,
    InvalidRefreshToken,
    NotAContact,
    UnknownClient,
)
from accounts.identity.models import ApiClient, RefreshToken, Session
from accounts.identity.operations.attempts import counted_login
from accounts.identity.scopes import CUSTOMER_SCOPES
from accounts.identity.tokens.issuing import issue_access_token, issue_saas_token, lifetime_of
from accounts.identity.tokens.opaque import digest_of, new_opaque_token
from accounts.identity.tokens.revocations import announce_revocation
from accounts.identity.tokens.verification import read_claims
from accounts.models import Customer, LegalEntity
from accounts.passwords import hash_password
from core.tenancy.callers import Caller, CallerKind

LONGEST_REFRESH_TOKEN = 200


@dataclass(frozen=True, slots=True)
class GrantedSession:
    """The tokens of a session. Lifetimes are in seconds; an absent refresh token is empty."""

    session: Session
    access_token: str
    expires_in: int
    refresh_token: str = ""
    refresh_token_expires_in: int = 0
    saas_token: str = ""


def start_anonymous_session(
    *, tenant_name: str, client_id: str, context: Mapping[str, str], at: datetime
) -> GrantedSession:
    """Open a session for somebody unknown. `context` is kept with it: currency, site, language, location.

    Raises UnknownClient unless the client belongs to the tenant and may start sessions.
    """
    client = storefront(tenant_name, client_id)
    with transaction.atomic():
        session = Session.objects.create(
            tenant=client.tenant,
            client=client,
            context=dict(context),
            created_at=at,
            expires_at=at + session_lifetime(CallerKind.ANONYMOUS),
        )
        return grant(session, at=at)


def refresh_anonymous_session(
    *, tenant_name: str, client_id: str, refresh_token: str, at: datetime
) -> GrantedSession:
    """Give the anonymous session new tokens; the refresh token is used up by it.

    Raises UnknownClient and InvalidRefreshToken.
    """
    client = storefront(tenant_name, client_id)
    return rotate(tenant_id=client.tenant_id, client_key=client.pk, refresh_token=refresh_token, at=at)


def renew_anonymous_access(
    *, tenant_name: str, client_id: str, access_token: str, at: datetime
) -> GrantedSession:
    """Give the anonymous session a new access token for a former one, which may have expired.

    This is the deprecated way, without a refresh token. Raises UnknownClient and InvalidAccessToken.
    """
    client = storefront(tenant_name, client_id)
    claims = read_claims(access_token, at=at, expired_for=settings.REFRESH_TOKEN_LIFETIME)
    session = (
        Session.objects.select_related("tenant", "client")
        .filter(
            tenant=client.tenant,
            client=client,
            customer=None,
            session_id=session_id_of(claims),
            revoked_at=None,
            expires_at__gt=at,
        )
        .first()
    )
    if session is None or claims["kind"] != CallerKind.ANONYMOUS:
        raise InvalidAccessToken
    return access(session, at=at)


def log_in(*, caller: Caller, email: str, password: str, address: str, at: datetime) -> GrantedSession:
    """Open a session for the customer with this e-mail and password; the caller has an anonymous session.

    The anonymous session stays as it is, beside the new one: the storefront may still hold
    its token, and nobody who knows the old session's tokens gets into the new one. Raises
    InvalidCredentials, after the same time whatever was wrong, TooManyAttempts (see `counted_login`), and
    Overloaded when too many passwords are being checked already.
    """
    with counted_login(realm=caller.tenant.id, account=email, address=address, at=at):
        customer = customer_with_password(tenant_id=caller.tenant.id, email=email, password=password)
    with transaction.atomic():
        Customer.objects.filter(pk=customer.pk).update(last_login_at=at)
        anonymous = (
            Session.objects.filter(session_id=caller.session_id).first() if caller.session_id else None
        )
        session = Session.objects.create(
            tenant=customer.tenant,
            client=ApiClient.objects.get(client_id=caller.client_id),
            customer=customer,
            context=anonymous.context if anonymous else {},
            created_at=at,
            expires_at=at + session_lifetime(CallerKind.CUSTOMER),
        )
        return grant(session, at=at)


def customer_with_password(*, tenant_id: int, email: str, password: str) -> Customer:
    """Return the customer who may log in with these; raise InvalidCredentials when there is none."""
    customer = Customer.objects.for_tenant(tenant_id).with_email(email).select_related("tenant").first()
    if customer is None or not customer.password:
        hash_password(password)  # takes as long as the comparison of a stored password
        raise InvalidCredentials
    if not customer.accepts_password(password) or not customer.is_active or customer.is_on_hold:
        raise InvalidCredentials
    return customer


def refresh_customer_session(
    *, tenant_id: int, refresh_token: str, legal_entity_id: str = "", at: datetime
) -> GrantedSession:
    """Give the customer's session new tokens; the refresh token is used up by it.

    With `legal_entity_id` the session acts for that legal entity from now on; without it, it goes on
    acting for the one it did, as long as the customer is its contact. Raises NotAContact, which leaves the
    refresh token as it was, and InvalidRefreshToken.
    """
    return rotate(tenant_id=tenant_id, refresh_token=refresh_token, legal_entity_id=legal_entity_id, at=at)


def end_session(*, tenant_id: int, access_token: str, at: datetime) -> None:
    """End the session of a customer's access token: none of its tokens is good any more.

    The token itself may have expired. Raises InvalidAccessToken when it is no customer's of the tenant.
    """
    claims = read_claims(access_token, at=at, expired_for=settings.REFRESH_TOKEN_LIFETIME)
    with transaction.atomic():
        session = (
            Session.objects.select_for_update(of=("self",))
            .filter(tenant=tenant_id, session_id=session_id_of(claims), customer__isnull=False)
            .first()
        )
        if session is None:
            raise InvalidAccessToken
        revoke(session, at=at)


def rotate(
    *,
    tenant_id: int,
    refresh_token: str,
    at: datetime,
    client_key: int | None = None,
    legal_entity_id: str = "",
) -> GrantedSession:
    """Exchange a refresh token for new tokens of its session.

    An anonymous session is meant when `client_key` is given, else a customer's. Using a refresh token that
    was used before ends the session: either of the two who hold it has stolen it.
    """
    granted = exchange(
        tenant_id=tenant_id,
        digest=digest_of(refresh_token[:LONGEST_REFRESH_TOKEN]),
        client_key=client_key,
        legal_entity_id=legal_entity_id,
        at=at,
    )
    if granted is None:
        raise InvalidRefreshToken
    return granted


@transaction.atomic
def exchange(
    *, tenant_id: int, digest: str, client_key: int | None, legal_entity_id: str, at: datetime
) -> GrantedSession | None:
    """Do what `rotate` says; return None, committing what it did to the session, when the token is refused.

    Locks the session first and reads the token then: of two exchanges at once the second sees the first.
    """
    key = RefreshToken.objects.filter(tenant=tenant_id, digest=digest).values_list("session_id", flat=True)
    session = (
        Session.objects.select_for_update(of=("self",))
        .select_related("tenant", "client", "customer", "legal_entity")
        .filter(tenant=tenant_id, pk__in=key, revoked_at=None, expires_at__gt=at)
        .first()
    )
    if session is None or not is_continuable(session, client_key):
        return None
    token = RefreshToken.objects.get(digest=digest)
    if token.used_at is not None:
        revoke(session, at=at)
        return None
    if token.expires_at <= at:
        return None
    if session.customer is not None:
        bind(session, legal_entity_id)
    RefreshToken.objects.filter(pk=token.pk).update(used_at=at)
    session.expires_at = at + session_lifetime(kind_of(session))
    session.save(update_fields=["expires_at", "legal_entity"])
    return grant(session, at=at)


def is_continuable(session: Session, client_key: int | None) -> bool:
    """Say whether the session is of the kind asked for, and all whom it belongs to are active."""
    if not session.client.is_active or not session.tenant.is_active:
        return False
    if session.customer is None:
        return client_key == session.client.pk
    return client_key is None and session.customer.is_active and not session.customer.is_on_hold


def bind(session: Session, legal_entity_id: str) -> None:
    """Make the session act for the legal entity, or go on with the present one; not saved.

    Raises NotAContact when the customer is not assigned to the legal entity that is named.
    """
    assigned = LegalEntity.objects.filter(tenant=session.tenant_id, contacts__customer=session.customer_id)
    if legal_entity_id:
        session.legal_entity = assigned.filter(external_id=legal_entity_id).first()
        if session.legal_entity is None:
            raise NotAContact(legal_entity_id)
    elif session.legal_entity is not None and not assigned.filter(pk=session.legal_entity.pk).exists():
        session.legal_entity = None


def revoke(session: Session, *, at: datetime) -> None:
    """End a locked session."""
    if session.revoked_at is None:
        session.revoked_at = at
        session.save(update_fields=["revoked_at"])
        announce_revocation()


def storefront(tenant_name: str, client_id: str) -> ApiClient:
    """Return the tenant's active client that may start sessions, or raise UnknownClient."""
    client = (
        ApiClient.objects.select_related("tenant")
        .filter(
            client_id=client_id,
            tenant__name=tenant_name,
            tenant__is_active=True,
            is_active=True,
            may_start_sessions=True,
        )
        .first()
    )
    if client is None:
        raise UnknownClient
    return client


def grant(session: Session, *, at: datetime) -> GrantedSession:
    """Give the session an access token and a refresh token."""
    refresh_token = new_opaque_token()
    lifetime = settings.REFRESH_TOKEN_LIFETIME
    RefreshToken.objects.create(
        tenant=session.tenant,
        session=session,
        digest=digest_of(refresh_token),
        created_at=at,
        expires_at=at + timedelta(seconds=lifetime),
    )
    return access(session, at=at, refresh_token=refresh_token, refresh_token_expires_in=lifetime)


def access(
    session: Session, *, at: datetime, refresh_token: str = "", refresh_token_expires_in: int = 0
) -> GrantedSession:
    """Give the session an access token, and a customer's session a token for the shop's other services."""
    kind = kind_of(session)
    customer = session.customer
    access_token = issue_access_token(
        tenant=session.tenant,
        kind=kind,
        client_id=session.client.client_id,
        session_id=str(session.session_id),
        scopes=CUSTOMER_SCOPES if customer else (),
        customer=customer,
        legal_entity=session.legal_entity,
        at=at,
    )
    saas_token = ""
    if customer:
        saas_token = issue_saas_token(
            tenant=session.tenant, customer=customer, session_id=str(session.session_id), at=at
        )
    return GrantedSession(
        session=session,
        access_token=access_token,
        expires_in=lifetime_of(kind),
        refresh_token=refresh_token,
        refresh_token_expires_in=refresh_token_expires_in,
        saas_token=saas_token,
    )


def kind_of(session: Session) -> CallerKind:
    return CallerKind.ANONYMOUS if session.customer_id is None else CallerKind.CUSTOMER


def session_lifetime(kind: CallerKind) -> timedelta:
    """Return how long a session lives on without a refresh: as long as the longest of its tokens."""
    return timedelta(seconds=max(settings.REFRESH_TOKEN_LIFETIME, lifetime_of(kind)))


def session_id_of(claims: Mapping[str, Any]) -> uuid.UUID:
    """Return the session that a verified token names, or raise InvalidAccessToken."""
    if "session_id" not in claims:
        raise InvalidAccessToken
    return uuid.UUID(claims["session_id"])


@transaction.atomic
def purge_sessions(*, at: datetime) -> tuple[int, int]:
    """Delete the sessions that are over at `at`, and the refresh tokens that are; return how many of each.

    A session's refresh tokens go with it in the database; they are not counted.
    """
    sessions = Session.objects.filter(expires_at__lte=at)
    tokens = RefreshToken.objects.filter(expires_at__lte=at)
    return sessions._raw_delete(sessions.db), tokens._raw_delete(tokens.db)
