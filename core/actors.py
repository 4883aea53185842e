"""Who acts, and on what occasion: what the journal records beside each change.

An entry point says so before it writes: a request after authentication, a command when it begins. The
connection hands it to PostgreSQL together with the beginning of a transaction, or with the statement that
writes (core/sql/fetching.py), so that it costs no round trip.
"""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

import msgspec
from msgspec.structs import replace

LONGEST_TEXT = 200  # of each text of an actor, as it is recorded


class ActorType(StrEnum):
    """What kind of actor changed something. Rows that nobody claimed are of the database role, `sql`."""

    CLIENT = "client"
    CUSTOMER = "customer"
    ANONYMOUS = "anonymous"
    STAFF = "staff"
    COMMAND = "command"
    RULE = "rule"
    SQL = "sql"


class Actor(msgspec.Struct, frozen=True):
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


_process_actor: list[Actor] = []  # at most one: who acts where nobody says otherwise
claimed: ContextVar[Actor | None] = ContextVar("actor", default=None)
"""Who acts in this thread."""

REQUEST_ID_KEY = "HTTP_X_REQUEST_ID"
"""Where a request has the id that core.observation.requests gives it; it has none outside of a server."""


def current_actor() -> Actor | None:
    """Return who acts now; None when nobody has said so."""
    return claimed.get() or process_actor()


def process_actor() -> Actor | None:
    """Return who acts where nobody says otherwise: the management command that runs, if one does."""
    return _process_actor[0] if _process_actor else None


@contextmanager
def acting_as(actor: Actor | None) -> Iterator[None]:
    """Say who acts, meanwhile."""
    token = claimed.set(actor)
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
