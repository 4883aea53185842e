"""Pages of a tenant's feed, for consumers that fetch events, and the deletion of old events."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.representation.fields import Json, Nested, Text, Time
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from events.errors import CursorGone, FeedNotKept
from events.feed.sources import ALL_LANGUAGES
from events.models import FeedPosition
from events.routing import subscribed_types

MOST_LOOKED_AT = 20_000
LINE = Nested(
    {
        "cursor": Text("event.id"),
        "id": Text("event.external_id"),
        "type": Text("event.type"),
        "occurredAt": Time("event.occurred_at"),
        "payload": Json("event.payload", omit_empty=False),
    }
)


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Lines of JSON, each an event, and the cursor behind which the next page begins."""

    lines: tuple[str, ...]
    cursor: int


def feed_page(
    tenant_id: int, tenant_name: str, *, types: Collection[str], named: bool, after: int, most: int
) -> FeedPage:
    """Return the next events of these types, behind the cursor `after`.

    At most MOST_LOOKED_AT events are looked at, so the page may be empty and its cursor further on. With
    `named` the types were asked for one by one. Raises FeedNotKept and CursorGone.
    """
    position = FeedPosition.objects.filter(pk=tenant_id).first()
    missing = sorted(set(types) - subscribed_types(tenant_id)) if named else []
    if position is None or missing:
        raise FeedNotKept(tenant_name, missing)
    if 0 < after < position.kept_from:
        raise CursorGone
    # Test events are written beside the reader: a cursor must not pass them while it writes lower keys.
    rows = fetch_rows(
        sql(
            "WITH seen AS MATERIALIZED (SELECT event.* FROM events_event AS event"
            " WHERE event.tenant_id = {tenant} AND event.id > {after} AND NOT event.is_test"
            " ORDER BY event.id LIMIT {looked_at}),"
            " page AS (SELECT event.id, {line} AS line FROM seen AS event WHERE event.type = ANY({types})"
            " ORDER BY event.id LIMIT {most})"
            " SELECT page.id, page.line, (SELECT max(seen.id) FROM seen) FROM (SELECT) AS one"
            " LEFT JOIN page ON TRUE ORDER BY page.id",
            tenant=param(tenant_id),
            after=param(after),
            looked_at=param(MOST_LOOKED_AT),
            line=LINE.json(ALL_LANGUAGES),
            types=param(list(types), "text[]"),
            most=param(most),
        )
    )
    lines = tuple(line for _, line, _ in rows if line is not None)
    last_seen = rows[0][2] or after
    return FeedPage(lines, rows[-1][0] if len(lines) == most else last_seen)


@transaction.atomic
def delete_events(before: datetime, most: int) -> int:
    """Delete events, and their deliveries, that happened before; say from where on the feeds are whole."""
    rows = fetch_rows(
        sql(
            "WITH chosen AS (SELECT event.id FROM events_event AS event WHERE event.occurred_at < {before}"
            " AND NOT EXISTS (SELECT FROM events_delivery AS delivery WHERE delivery.tenant_id"
            " = event.tenant_id AND delivery.event_id = event.id AND delivery.state = 'PENDING')"
            " ORDER BY event.occurred_at LIMIT {most} FOR UPDATE SKIP LOCKED),"
            " gone AS (DELETE FROM events_event WHERE id IN (SELECT id FROM chosen) RETURNING tenant_id, id),"
            " kept AS (UPDATE events_feedposition AS position SET kept_from = greatest(kept_from, last.id)"
            " FROM (SELECT tenant_id, max(id) AS id FROM gone GROUP BY tenant_id) AS last"
            " WHERE last.tenant_id = position.tenant_id)"
            " SELECT count(*) FROM gone",
            before=param(before),
            most=param(most),
        )
    )
    return rows[0][0]
