"""Visits to a storefront: anonymous sessions, logins, refreshes, logouts."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.errors import (
    AccessTokenRevoked,
    InvalidAccessToken,
    InvalidCredentials,
    InvalidRefreshToken,
    NotAContact,
    UnknownClient,
)
from accounts.identity.legacy_passwords import verifier_of
from accounts.identity.models import (
    ApiClient,
    LegacyPassword,
    PasswordMigration,
    RefreshToken,
    Session,
)
from accounts.identity.operations.attempts import counted_login, subject_of
from accounts.identity.scopes import CUSTOMER_SCOPES
from accounts.identity.tokens.issuing import issue_access_token, issue_saas_token, lifetime_of
from accounts.identity.tokens.opaque import digest_of, new_opaque_token
from accounts.identity.tokens.revocations import announce_revocation
from accounts.identity.tokens.verification import read_claims
from accounts.models import Customer, LegalEntity
from accounts.operations.customers import store_password
from accounts.passwords import hash_password, hashing_slots
from core.json_types import JsonMapping
from core.tenancy.callers import Caller, CallerKind

LONGEST_REFRESH_TOKEN = 200
REUSE_TOLERANCE = timedelta(seconds=10)


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
    *, tenant_name: str, client_id: str, refresh_token: str, address: str, at: datetime
) -> GrantedSession:
    """Give the anonymous session new tokens; the refresh token is used up by it (see `rotate`).

    Raises UnknownClient and InvalidRefreshToken.
    """
    client = storefront(tenant_name, client_id)
    return rotate(
        tenant_id=client.tenant_id,
        client_key=client.pk,
        refresh_token=refresh_token,
        address=address,
        at=at,
    )


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
    """Make the caller's anonymous session that of the customer with this e-mail and password.

    The session keeps its id, since the cart belongs to it. Its anonymous refresh tokens are deleted, so that
    nobody who knows them gets into the customer's session; the anonymous access token stays an anonymous one
    until it expires. When the session is a customer's already, this login gets a new one. Raises
    InvalidCredentials, after the same time whatever was wrong, TooManyAttempts (see `counted_login`), and
    Overloaded when too many passwords are being checked already.
    """
    with counted_login(realm=caller.tenant.id, account=email, address=address, at=at):
        customer = customer_with_password(tenant_id=caller.tenant.id, email=email, password=password, at=at)
    with transaction.atomic():
        Customer.objects.filter(pk=customer.pk).update(last_login_at=at)
        session = session_for_login(caller, customer, at=at)
        return grant(session, at=at)


def session_for_login(caller: Caller, customer: Customer, *, at: datetime) -> Session:
    """Return the caller's session as the customer's, or a new one when it is a customer's already."""
    expires_at = at + session_lifetime(CallerKind.CUSTOMER)
    sessions = Session.objects.select_for_update(of=("self",)).select_related("tenant", "client")
    live = sessions.filter(tenant=customer.tenant_id, revoked_at=None)
    session = live.filter(session_id=caller.session_id).first() if caller.session_id else None
    if session is None:  # it ended after the token was checked
        raise AccessTokenRevoked
    if session.customer_id is not None:
        return Session.objects.create(
            tenant=customer.tenant,
            client=session.client,
            customer=customer,
            context=session.context,
            created_at=at,
            expires_at=expires_at,
        )
    RefreshToken.objects.filter(tenant=session.tenant_id, session=session).delete()
    session.customer = customer
    session.expires_at = expires_at
    session.save(update_fields=["customer", "expires_at"])
    return session


def customer_with_password(*, tenant_id: int, email: str, password: str, at: datetime) -> Customer:
    """Return the customer who may log in with these; raise InvalidCredentials when there is none.

    A password that another system hashed is hashed anew here. Every outcome takes the time of one hash.
    """
    customer = Customer.objects.for_tenant(tenant_id).with_email(email).select_related("tenant").first()
    if customer is not None and customer.password:
        is_right = customer.accepts_password(password)
    else:
        encoded = hash_password(password)
        is_right = customer is not None and accepts_legacy_password(customer, password, at=at)
        if customer is not None and is_right:
            with transaction.atomic():
                store_password(customer, encoded)
    if customer is None or not is_right or not customer.is_active or customer.is_on_hold:
        raise InvalidCredentials
    return customer


def accepts_legacy_password(customer: Customer, password: str, *, at: datetime) -> bool:
    """Say whether this is the customer's password in another system, whose hash may still be used."""
    legacy = LegacyPassword.objects.filter(tenant=customer.tenant_id, customer=customer).first()
    verifier = verifier_of(legacy.algorithm) if legacy else None
    if legacy is None or verifier is None:
        return False
    migrations = PasswordMigration.objects.filter(tenant=customer.tenant_id)
    if not migrations.filter(retention_end_date__gt=at.date()).exists():
        return False
    with hashing_slots.take():
        return verifier.matches(password, legacy.hash, legacy.context)


def refresh_customer_session(
    *, tenant_id: int, refresh_token: str, address: str, legal_entity_id: str = "", at: datetime
) -> GrantedSession:
    """Give the customer's session new tokens; the refresh token is used up by it (see `rotate`).

    With `legal_entity_id` the session acts for that legal entity from now on; without it, it goes on
    acting for the one it did, as long as the customer is its contact. Raises NotAContact, which leaves the
    refresh token as it was, and InvalidRefreshToken.
    """
    return rotate(
        tenant_id=tenant_id,
        refresh_token=refresh_token,
        legal_entity_id=legal_entity_id,
        address=address,
        at=at,
    )


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
    address: str,
    at: datetime,
    client_key: int | None = None,
    legal_entity_id: str = "",
) -> GrantedSession:
    """Exchange a refresh token for new tokens of its session.

    An anonymous session is meant when `client_key` is given, else a customer's. Using a refresh token that
    was used before ends the session: either of the two who hold it has stolen it. Within REUSE_TOLERANCE,
    from the same address, it gets tokens of the same session instead: two tabs of a browser refresh at once.
    """
    granted = exchange(
        tenant_id=tenant_id,
        digest=digest_of(refresh_token[:LONGEST_REFRESH_TOKEN]),
        client_key=client_key,
        legal_entity_id=legal_entity_id,
        address=subject_of("refresh", address),
        at=at,
    )
    if granted is None:
        raise InvalidRefreshToken
    return granted


@transaction.atomic
def exchange(
    *,
    tenant_id: int,
    digest: str,
    client_key: int | None,
    legal_entity_id: str,
    address: str,
    at: datetime,
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
    if token.used_at is not None and not is_second_tab(token, address, at=at):
        revoke(session, at=at)
        return None
    if token.expires_at <= at:
        return None
    if session.customer is not None:
        bind(session, legal_entity_id)
    if token.used_at is None:
        RefreshToken.objects.filter(pk=token.pk).update(used_at=at, used_from=address)
    session.expires_at = at + session_lifetime(kind_of(session))
    session.save(update_fields=["expires_at", "legal_entity"])
    return grant(session, at=at)


def is_second_tab(token: RefreshToken, address: str, *, at: datetime) -> bool:
    """Say whether a used token comes again so soon, and from where it came, that the browser is the same."""
    return (
        token.used_at is not None
        and abs(at - token.used_at) <= REUSE_TOLERANCE  # the clocks of two workers may differ
        and token.used_from == address
    )


def is_continuable(session: Session, client_key: int | None) -> bool:
    """Say whether the session is of the kind asked for, and its customer and client are active."""
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


def session_id_of(claims: JsonMapping) -> uuid.UUID:
    """Return the session that a verified token names, or raise InvalidAccessToken."""
    if "session_id" not in claims:
        raise InvalidAccessToken
    return uuid.UUID(claims["session_id"])
