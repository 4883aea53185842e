"""API clients, their secrets and their tokens."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts.errors import DuplicateId, TokenRequestRefused, UnknownReference
from accounts.identity.models import ApiClient, ClientSecret
from accounts.identity.operations.attempts import count_wrong_secret
from accounts.identity.scopes import SERVICE_SCOPES, with_implied
from accounts.identity.tokens.issuing import issue_access_token
from accounts.identity.tokens.opaque import digest_of, is_digest_of, new_opaque_token
from accounts.identity.tokens.revocations import RecentlyRead, announce_revocation
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from core.sql.integrity import translate_integrity_errors
from core.tenancy.callers import CallerKind
from core.tenancy.identifiers import check_client_id
from core.tenancy.models import Tenant

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
    with translate_integrity_errors({"identity_apiclient_client_id_key": DuplicateId(resource_id=client_id)}):
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
    announce_revocation()
    return secret


def grant_service_token(
    *, client_id: str, client_secret: str, scope: str, address: str, at: datetime
) -> ServiceToken:
    """Return an access token for a client that knows one of its secrets.

    Takes one statement, or none when the client has just been asked for and nothing was revoked since.

    `scope` names, separated by blanks, the scopes wanted of those that the client has (none: all of them),
    and perhaps `tenant=<name>`. Raises TokenRequestRefused with the error that RFC 6749 names, and
    TooManyAttempts when too many wrong secrets came from the address; right ones are accepted all the same.
    """
    lookups = 0

    def look_up() -> KnownClient | None:
        nonlocal lookups
        lookups += 1
        return client_with_secrets(client_id)

    known = recent_clients.find(client_id, look_up, at=at)
    # Always compares as many digests as a client can have.
    digests = known.digests_at(at) if known else []
    padded = [*digests, *[NO_DIGEST] * len(SLOTS)][: len(SLOTS)]
    matches = [is_digest_of(client_secret, digest) for digest in padded]
    if known is None or not any(matches):
        if (
            not lookups
        ):  # a refusal costs one statement, so that its time does not say whether the id is known
            look_up()
        count_wrong_secret(client_id=client_id, address=address, at=at)
        raise TokenRequestRefused("invalid_client", "The client or its secret is not known.")
    granted = granted_scopes(known, scope)
    token = issue_access_token(
        tenant=known.tenant, kind=CallerKind.SERVICE, client_id=known.client_id, scopes=granted, at=at
    )
    return ServiceToken(token, settings.SERVICE_TOKEN_LIFETIME, known.tenant.name, granted)


@dataclass(frozen=True, slots=True)
class KnownClient:
    """An active client of an active tenant, with the digests of its secrets and when each expires."""

    tenant: Tenant
    client_id: str
    scopes: tuple[str, ...]
    secrets: tuple[tuple[str, datetime | None], ...]

    def digests_at(self, at: datetime) -> list[str]:
        """Return the digests of the secrets that are good at this moment."""
        return [digest for digest, expires_at in self.secrets if expires_at is None or expires_at > at]


recent_clients: RecentlyRead[KnownClient] = RecentlyRead(most=1_000)


# Written out: building this statement from models takes three times as long as PostgreSQL takes for it.
CLIENT_WITH_SECRETS = """
SELECT tenant.id, tenant.name, client.client_id, client.scopes,
  array_agg(secret.digest ORDER BY secret.slot), array_agg(secret.expires_at ORDER BY secret.slot)
FROM identity_apiclient AS client
JOIN tenancy_tenant AS tenant ON tenant.id = client.tenant_id AND tenant.is_active
JOIN identity_clientsecret AS secret ON secret.client_id = client.id
WHERE client.client_id = {client_id} AND client.is_active
GROUP BY tenant.id, client.id
"""


def client_with_secrets(client_id: str) -> KnownClient | None:
    """Return the client when it and its tenant are active and it has a secret; else None."""
    rows = fetch_rows(sql(CLIENT_WITH_SECRETS, client_id=param(client_id)))
    if not rows:
        return None
    tenant_key, tenant_name, client_id, scopes, digests, expiries = rows[0]
    return KnownClient(
        Tenant(id=tenant_key, name=tenant_name),
        client_id,
        tuple(scopes),
        tuple(zip(digests, expiries, strict=True)),
    )


def granted_scopes(client: KnownClient, scope: str) -> tuple[str, ...]:
    """Return the scopes that a request for these grants, in its order; all of the client's for none."""
    wanted = []
    for word in dict.fromkeys(scope.split()):
        if not word.startswith("tenant="):
            wanted.append(word)
        elif word != f"tenant={client.tenant.name}":
            raise TokenRequestRefused("invalid_scope", "The client belongs to another tenant.")
    if not wanted:
        return client.scopes
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
