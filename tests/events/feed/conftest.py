from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from core.json_types import JsonObject
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from events.feed.reader import read_feeds, start_feed
from events.feed.sources import made_types
from events.feed.windows import BOUNDARIES
from events.models import Event, Subscription
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def committed(transactional_db: None, real_time: None) -> None:
    """The feed reads what is committed, and compares instants of the database with its own."""


def subscribe(tenant: Tenant, *types: str) -> None:
    """Keep the feed of a tenant from now on; without types, of all."""
    for name in types or (*made_types(), *BOUNDARIES):
        Subscription.objects.create(tenant=tenant, event_type=name)
    start_feed(tenant.pk, at=datetime.now(UTC))


def wait_until_all_is_readable() -> None:
    """Return when no transaction is running that a change was written beside, as an autovacuum may be."""
    held_up = Sql("SELECT 1 FROM journal_change WHERE tx >= (SELECT oldest_running_here()) LIMIT 1")
    wait_until(lambda: not fetch_rows(held_up))


def read_all() -> None:
    """Read what can be read by now."""
    while read_feeds(datetime.now(UTC)):
        pass


def drain() -> None:
    """Read all that is committed."""
    wait_until_all_is_readable()
    read_all()


@pytest.fixture
def feed() -> Callable[..., list[tuple[str, JsonObject]]]:
    """Read all that is committed; return type and payload of the events that are new since the last call."""
    seen = 0

    def read(tenant: Tenant) -> list[tuple[str, JsonObject]]:
        nonlocal seen
        drain()
        rows = Event.objects.filter(tenant=tenant, pk__gt=seen).order_by("pk")
        found = list(rows.values_list("pk", "type", "payload"))
        seen = max([seen, *[key for key, *_ in found]])
        return [(name, payload) for _, name, payload in found]

    return read
