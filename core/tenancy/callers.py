"""Who calls: what a verified access token says."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from core.actors import Actor, ActorType
from core.errors import NotAllowed


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
    limit_reached: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """A row as it is known inside (`id`, the key) and outside (`external_id`)."""

    id: int
    external_id: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a valid access token, for one tenant, with its scopes.

    A service has no session. A customer's session may be bound to a legal entity that it acts for. `actor` is
    who changes something with the token: the customer or the program that it names, else a visitor's session.
    It is `request.user` of the API, so it has what Django REST framework asks of a user.
    """

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    tenant: TenantRecord
    kind: CallerKind
    client_id: str
    scopes: frozenset[str]
    expires_at: datetime
    session_id: str = ""
    customer: Identity | None = None
    legal_entity: Identity | None = None
    actor: Actor = field(init=False)

    def __post_init__(self) -> None:
        actor = Actor(ActorType.ANONYMOUS, self.session_id)
        if self.customer is not None:
            actor = Actor(ActorType.CUSTOMER, self.customer.external_id)
        elif self.kind is CallerKind.SERVICE:
            actor = Actor(ActorType.CLIENT, self.client_id)
        object.__setattr__(self, "actor", actor)

    @property
    def pk(self) -> str:
        """What tells this caller from all others, as throttles by user need it."""
        if self.customer is not None:
            return f"{self.tenant.name}:customer:{self.customer.id}"
        return f"{self.tenant.name}:{self.kind.value}:{self.session_id or self.client_id}"


def require_kind(caller: Caller, kind: CallerKind) -> None:
    """Raise NotAllowed unless the token is of this kind."""
    if caller.kind is not kind:
        raise NotAllowed(f"This operation needs an access token of kind {kind.value}.")


def customer_of(caller: Caller) -> Identity:
    """Return the customer who calls; raise NotAllowed when the token is no customer's."""
    require_kind(caller, CallerKind.CUSTOMER)
    assert caller.customer is not None
    return caller.customer
