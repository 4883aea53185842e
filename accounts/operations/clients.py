"""API clients, their secrets and their tokens."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.callers import CallerKind
from accounts.errors import DuplicateId, TokenRequestRefused, UnknownReference
from accounts.models import ApiClient, ClientSecret, Tenant
from accounts.scopes import SERVICE_SCOPES, with_implied
from accounts.tokens.issuing import issue_access_token
from accounts.tokens.opaque import digest_of, is_digest_of, new_opaque_token
from accounts.tokens.revocations import announce_revocation
from core.identifiers import check_client_id
from core.violations import refused_as

SLOTS = (1, 2)
NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A service's access token; `scopes` are those granted, `expires_in` is in seconds."""

    access_token: str
    expires_in: int
    tenant_name: str
    scopes: tuple[str, ...]


@transaction.atomic
def create_api_client(
    *,
    tenant: Tenant,
    at: datetime,
    client_id: str = "",
    name: str = "",
    scopes: Iterable[str] = (),
    may_start_sessions: bool = False,
    has_secret: bool = True,
    secret: str = "",
) -> tuple[ApiClient, str]:
    """Make a client; return it with its secret, which can never be shown again.

    `secret` sets a chosen one (a demo's); a client without a secret gets no service tokens, which is right
    for a storefront in a browser. Raises UnknownReference for a scope that there is not, and DuplicateId.
    """
    client_id = check_client_id(client_id or f"{tenant.name}-{secrets.token_hex(8)}", field="client_id")
    client = ApiClient(
        tenant=tenant,
        client_id=client_id,
        name=name,
        scopes=checked_scopes(scopes),
        may_start_sessions=may_start_sessions,
        created_at=at,
    )
    with refused_as({"accounts_apiclient_client_id_key": DuplicateId(resource_id=client_id)}):
        client.save()
    if not has_secret:
        return client, ""
    secret = secret or new_opaque_token()
    ClientSecret.objects.create(client=client, slot=1, digest=digest_of(secret), created_at=at)
    return client, secret


@transaction.atomic
def change_api_client(
    *,
    client: ApiClient,
    name: str | None = None,
    scopes: Iterable[str] | None = None,
    may_start_sessions: bool | None = None,
    is_active: bool | None = None,
) -> ApiClient:
    """Change what is given. A client that is no longer active loses all its tokens at once.

    Tokens keep the scopes they were issued with; `revoke_client_tokens` takes them back.
    """
    client = ApiClient.objects.select_for_update(of=("self",)).get(pk=client.pk)
    if name is not None:
        client.name = name
    if scopes is not None:
        client.scopes = checked_scopes(scopes)
    if may_start_sessions is not None:
        client.may_start_sessions = may_start_sessions
    if is_active is not None:
        client.is_active = is_active
    client.save()
    announce_revocation()
    return client


@transaction.atomic
def revoke_client_tokens(*, client: ApiClient, at: datetime) -> None:
    """Refuse every token that the client was given before `at`."""
    ApiClient.objects.filter(pk=client.pk).update(tokens_not_before=at)
    announce_revocation()


@transaction.atomic
def rotate_client_secret(
    *, client: ApiClient, at: datetime, keep_others_for: timedelta = timedelta(0)
) -> str:
    """Give the client a new secret and return it; it can never be shown again.

    The other one stays good for `keep_others_for`, so that the programs which use it can be changed over.
    A client has at most two secrets: of two good ones the older makes room.
    """
    ApiClient.objects.select_for_update(of=("self",)).get(pk=client.pk)
    stored = {row.slot: row for row in ClientSecret.objects.filter(client=client)}

    def worth(slot: int) -> tuple[bool, bool, datetime]:
        row = stored.get(slot)
        if row is None:
            return False, False, at
        return True, row.expires_at is None or row.expires_at > at, row.created_at

    slot = min(SLOTS, key=worth)
    secret = new_opaque_token()
    ClientSecret.objects.update_or_create(
        client=client,
        slot=slot,
        defaults={"digest": digest_of(secret), "created_at": at, "expires_at": None},
    )
    for row in stored.values():
        if row.slot != slot and (row.expires_at is None or row.expires_at > at + keep_others_for):
            row.expires_at = at + keep_others_for
            row.save(update_fields=["expires_at"])
    return secret


def grant_service_token(*, client_id: str, client_secret: str, scope: str, at: datetime) -> ServiceToken:
    """Return an access token for a client that knows one of its secrets. Takes one statement.

    `scope` names, separated by blanks, the scopes wanted of those that the client has (none: all of them),
    and perhaps `tenant=<name>`. Raises TokenRequestRefused with the error that RFC 6749 names.
    """
    rows = list(
        ClientSecret.objects.filter(client__client_id=client_id[:128]).select_related("client__tenant")
    )
    # Every secret is compared, and one even without any, so that the time tells nothing.
    matches = [is_digest_of(client_secret, row.digest) for row in rows] or [
        is_digest_of(client_secret, NO_DIGEST)
    ]
    is_known = any(
        match and (row.expires_at is None or row.expires_at > at)
        for match, row in zip(matches, rows, strict=False)
    )
    client = rows[0].client if rows else None
    if client is None or not is_known or not client.is_active or not client.tenant.is_active:
        raise TokenRequestRefused("invalid_client", "The client or its secret is not known.")
    granted = granted_scopes(client, scope)
    token = issue_access_token(
        tenant=client.tenant, kind=CallerKind.SERVICE, client_id=client.client_id, scopes=granted, at=at
    )
    return ServiceToken(token, settings.SERVICE_TOKEN_LIFETIME, client.tenant.name, granted)


def granted_scopes(client: ApiClient, scope: str) -> tuple[str, ...]:
    """Return the scopes that a request for these grants, in its order; all of the client's for none."""
    wanted = []
    for word in dict.fromkeys(scope.split()):
        if not word.startswith("tenant="):
            wanted.append(word)
        elif word != f"tenant={client.tenant.name}":
            raise TokenRequestRefused("invalid_scope", "The client belongs to another tenant.")
    if not wanted:
        return tuple(client.scopes)
    lacking = [word for word in wanted if word not in with_implied(client.scopes)]
    if lacking:
        raise TokenRequestRefused("invalid_scope", f"The client does not have the scope {lacking[0][:100]}.")
    return tuple(wanted)


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    """Return the scopes once each, sorted; raise UnknownReference for one that no client can have."""
    chosen = sorted(set(scopes))
    for scope in chosen:
        if scope not in SERVICE_SCOPES:
            raise UnknownReference(
                f"There is no scope {scope}; choose from {', '.join(SERVICE_SCOPES)}.", field="scopes"
            )
    return chosen
