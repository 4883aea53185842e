"""Who acts, and on what occasion: what the journal records beside each change.

An entry point says so before it writes: a request after authentication, a command when it begins. The
connection hands it to PostgreSQL together with the beginning of a transaction, or with the statement that
writes (core/sql/fetching.py), so that it costs no round trip.
"""

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import orjson
from django.http import HttpRequest

from core.tenancy.callers import Caller, CallerKind

LONGEST_TEXT = 200


class ActorType(StrEnum):
    """What kind of actor changed something. Rows that nobody claimed are of the database role, `sql`."""

    CLIENT = "client"
    CUSTOMER = "customer"
    ANONYMOUS = "anonymous"
    STAFF = "staff"
    COMMAND = "command"
    RULE = "rule"
    SQL = "sql"


@dataclass(frozen=True)
class Actor:
    """Somebody who changes something, on an occasion.

    `id` is what others know them by: the id of an API client, a customer number, a user name, a command's
    name. `source_type` and `source_id` name the occasion: a `request` and its id, an `import` and the key of
    its run, a `filter` (core/filter_sources.py).
    """

    type: ActorType
    id: str
    name: str = ""
    source_type: str = ""
    source_id: str = ""

    @cached_property
    def setting(self) -> str:
        """The value of the setting `app.actor`, which triggers read."""
        texts = [self.type, self.id, self.name, self.source_type, self.source_id]
        # PostgreSQL keeps no NUL in a text
        return orjson.dumps([text[:LONGEST_TEXT].replace("\x00", "") for text in texts]).decode()


Claim = Actor | Callable[[], Actor] | None
"""Who acts, or how to find out when something is written: most requests only read."""

_process_actor: list[Actor] = []  # at most one: who acts where nobody says otherwise
claimed: ContextVar[Claim] = ContextVar("actor", default=None)
"""Who acts in this thread. Finding out must not read the database."""


def current_actor() -> Actor | None:
    """Return who acts now; None when nobody has said so."""
    claim = claimed.get()
    if claim is None:
        return _process_actor[0] if _process_actor else None
    if isinstance(claim, Actor):
        return claim
    actor = claim()
    claimed.set(actor)
    return actor


def actor_of(request: HttpRequest, caller: Caller | None = None) -> Actor:
    """Return who acts in a request of the API: the customer or the program that the token names.

    Without one it is an anonymous visitor.
    """
    kind, name = ActorType.ANONYMOUS, ""
    if caller is not None and caller.customer is not None:
        kind, name = ActorType.CUSTOMER, caller.customer.external_id
    elif caller is not None and caller.kind is CallerKind.SERVICE:
        kind, name = ActorType.CLIENT, caller.client_id
    elif caller is not None:
        name = caller.session_id
    return Actor(kind, name, source_type="request", source_id=request_id(request))


def request_id(request: HttpRequest) -> str:
    """Return the id that core.observation.requests has given the request; empty outside of a server."""
    return request.META.get("HTTP_X_REQUEST_ID", "")


@contextmanager
def acting_as(claim: Claim) -> Iterator[None]:
    """Say who acts, meanwhile."""
    token = claimed.set(claim)
    try:
        yield
    finally:
        claimed.reset(token)


@contextmanager
def with_source(source_type: str, source_id: str = "") -> Iterator[None]:
    """Name the occasion of the present actor's changes, meanwhile."""
    actor = current_actor() or Actor(ActorType.COMMAND, "", operating_system_user())
    with acting_as(replace(actor, source_type=source_type, source_id=source_id)):
        yield


@contextmanager
def acting_as_customer(number: str) -> Iterator[None]:
    """Let a customer act, meanwhile, who has proved to be one otherwise than by an access token."""
    actor = current_actor() or Actor(ActorType.CUSTOMER, number)
    with acting_as(replace(actor, type=ActorType.CUSTOMER, id=number, name="")):
        yield


def operating_system_user() -> str:
    """Return the name of the account that runs this process; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError) as unnamed:
        return str(unnamed)


def act_as_command(name: str) -> None:
    """Let the management command act wherever nobody else does, for as long as the process lives."""
    _process_actor[:] = [Actor(ActorType.COMMAND, name, operating_system_user())]
