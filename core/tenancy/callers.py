"""Who calls: what a verified access token says."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CallerKind(StrEnum):
    """What kind of token was presented."""

    SERVICE = "service"
    ANONYMOUS = "anonymous"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """What requests need to know of their tenant, kept in process for a short time."""

    id: int
    name: str
    default_language: str
    languages: tuple[str, ...]
    currency: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A row as it is known inside (`id`, the key) and outside (`external_id`)."""

    id: int
    external_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a valid access token, for one tenant, with its scopes.

    A service has no session. A customer's session may be bound to a legal entity that it acts for.
    """

    tenant: TenantRecord
    kind: CallerKind
    client_id: str
    scopes: frozenset[str]
    expires_at: datetime
    session_id: str = ""
    customer: Identity | None = None
    legal_entity: Identity | None = None
