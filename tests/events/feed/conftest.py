from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from core.json_types import JsonObject
from core.sql.composition import identifier, sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from events.feed.reader import read_feeds, start_feed
from events.feed.sources import made_types
from events.feed.windows import BOUNDARIES
from events.models import Event, FeedPosition, PurgePosition, Subscription
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def committed(transactional_db: None, real_time: None) -> None:
    """The feed reads what is committed, and compares instants of the database with its own."""


def subscribe(tenant: Tenant, *types: str) -> None:
    """Keep the feed of a tenant from now on; without types, of all."""
    for name in types or (*made_types(), *BOUNDARIES):
        Subscription.objects.create(tenant=tenant, event_type=name)
    start_feed(tenant.pk, at=datetime.now(UTC))


def read_all() -> None:
    """Read what can be read by now."""
    while read_feeds(datetime.now(UTC)):
        pass


def is_all_read(positions: type[FeedPosition] | type[PurgePosition]) -> bool:
    """Say whether the readers that have these positions have seen all changes."""
    unread = sql(
        "SELECT 1 FROM journal_change AS change JOIN {positions} AS position USING (tenant_id)"
        " WHERE (change.tx, change.id) > (position.tx::text::xid8, position.journal_id)"
        " AND NOT pg_visible_in_snapshot(change.tx, position.began_in::pg_snapshot) LIMIT 1",
        positions=identifier(positions._meta.db_table),
    )
    return not fetch_rows(unread)


def drain() -> None:
    """Read all that is committed, though an autovacuum of this database may hold some of it up."""
    wait_until(lambda: read_all() or is_all_read(FeedPosition))


def read_slice(at: datetime) -> bool:
    """Read one slice as `read_feeds` does, as soon as there is one."""
    former, answers = positions(), []
    wait_until(lambda: answers.append(read_feeds(at)) or positions() != former)
    return answers[-1]


def positions() -> list[tuple[int, int, int]]:
    return list(FeedPosition.objects.order_by("pk").values_list("pk", "tx", "journal_id"))


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
