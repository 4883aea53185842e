"""How a shop's segments are doing: which are live, how large they are, and how their members change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import orjson

from core.sql.composition import Sql, integer, param, sql
from core.sql.fetching import fetch_rows
from core.sql.time_limits import fetch_within
from segments.assortment import categories_in_assortment
from segments.counting import MOST_COUNTED, Count
from segments.visibility import effective, on_site

LATELY: Final = timedelta(days=7)
QUICKLY: Final = 200  # milliseconds


@dataclass(frozen=True, slots=True)
class LiveSegment:
    """A segment that counts now. `change` is by how many its memberships grew lately; None: not known."""

    key: int
    external_id: str
    name: dict[str, str]
    valid_to: datetime | None
    members: int
    change: int | None = None


@dataclass(frozen=True, slots=True)
class LiveSegments:
    """How many segments count now, how many memberships they have, and the largest of them."""

    count: int
    members: int
    largest: tuple[LiveSegment, ...]


def closed_memberships(tenant_id: int, key: int, *, at: datetime, limit: Sql) -> Sql:
    """Return the statement that counts the memberships of a segment that have not begun or are over.

    No window ends before it begins, so nothing is in both parts, each of which an index of its own serves.
    """
    return sql(
        "SELECT (SELECT count(*) FROM (SELECT FROM segments_customerassignment AS membership"
        " WHERE membership.tenant_id = {tenant} AND membership.segment_id = {key}"
        " AND membership.valid_from > {at}{limit}) AS later)"
        " + (SELECT count(*) FROM (SELECT FROM segments_customerassignment AS membership"
        " WHERE membership.tenant_id = {tenant} AND membership.segment_id = {key}"
        " AND membership.valid_to < {at}{limit}) AS over)",
        tenant=param(tenant_id),
        key=param(key),
        at=param(at),
        limit=limit,
    )


def closed_now(tenant_id: int, key: int, *, at: datetime) -> Count:
    """Return how many memberships of a segment do not count, counted no further than 10,000."""
    limit = sql(" LIMIT {most}", most=integer(MOST_COUNTED + 1))
    [(count,)] = fetch_rows(closed_memberships(tenant_id, key, at=at, limit=limit))
    return Count(value=min(count, MOST_COUNTED), exact=count <= MOST_COUNTED)


def live_segments(tenant_id: int, *, at: datetime, site_code: str = "", most: int = 8) -> LiveSegments:
    """Return the segments that count now, in two statements that read kept counts and the journal."""
    rows = fetch_rows(
        sql(
            "SELECT live.id, live.external_id, live.name::text, live.valid_to, live.members,"
            " count(*) OVER (), (sum(live.members) OVER ())::bigint FROM ("
            "SELECT segment.id, segment.external_id, segment.name, segment.valid_to,"
            " coalesce((SELECT sum(tally.count)::bigint FROM segments_tally AS tally"
            " WHERE tally.tenant_id = segment.tenant_id AND tally.key = segment.id"
            " AND tally.kind = 'members'), 0) AS members FROM segments_segment AS segment"
            " WHERE segment.tenant_id = {tenant} AND {effective} AND {on_site}) AS live"
            " ORDER BY live.members DESC, live.id LIMIT {most}",
            tenant=param(tenant_id),
            effective=effective(at),
            on_site=on_site(tenant_id, site_code),
            most=param(most),
        )
    )
    changes = changes_of_members(tenant_id, [row[0] for row in rows], since=at - LATELY)
    largest = tuple(
        LiveSegment(
            key,
            external_id,
            orjson.loads(name),
            valid_to,
            members,
            None if changes is None else changes.get(key, 0),
        )
        for key, external_id, name, valid_to, members, _, _ in rows
    )
    count, total = rows[0][5:] if rows else (0, 0)
    return LiveSegments(count, total, largest)


SIGNED: Final = Sql("CASE change.kind WHEN 'created' THEN change.count ELSE -change.count END")


def changes_of_members(tenant_id: int, keys: Sequence[int], *, since: datetime) -> dict[int, int] | None:
    """Return by how many memberships each segment grew, by the journal; None when that takes too long."""
    if not keys:
        return {}
    rows = fetch_within(
        sql(
            "SELECT change.key, sum({signed})::bigint FROM journal_change AS change WHERE {condition}"
            " AND change.at >= {since} GROUP BY change.key",
            signed=SIGNED,
            condition=of_members(tenant_id, keys),
            since=param(since),
        ),
        milliseconds=QUICKLY,
    )
    return None if rows is None else dict(rows)


def members_by_day(tenant_id: int, key: int, *, first: datetime, zone: str) -> list[tuple[date, int]] | None:
    """Return by how many memberships a segment grew on each day of the zone, since `first`.

    From the journal, in one statement; None when that takes too long.
    """
    return fetch_within(
        sql(
            "SELECT (change.at AT TIME ZONE {zone})::date, sum({signed})::bigint"
            " FROM journal_change AS change"
            " WHERE {condition} AND change.at >= {first} GROUP BY 1 ORDER BY 1",
            zone=param(zone),
            signed=SIGNED,
            condition=of_members(tenant_id, [key]),
            first=param(first),
        ),
        milliseconds=QUICKLY,
    )


def of_members(tenant_id: int, keys: Sequence[int]) -> Sql:
    """The condition that a change added or removed members of one of the segments."""
    return sql(
        "change.tenant_id = {tenant} AND change.object = 'segment-customer' AND change.key = ANY({keys})"
        " AND change.kind <> 'updated'",
        tenant=param(tenant_id),
        keys=param(list(keys), "bigint[]"),
    )


def products_in_categories(tenant_id: int, key: int, *, at: datetime) -> int:
    """Return how many products are in categories that the segment holds now; 0 when that takes too long."""
    rows = fetch_within(
        sql(
            "SELECT count(*) FROM (SELECT DISTINCT place.product_id FROM ({inside}) AS place) AS found",
            inside=products_inside(tenant_id, [key], at=at),
        ),
        milliseconds=QUICKLY,
    )
    return rows[0][0] if rows else 0


def products_inside(tenant_id: int, keys: Sequence[int], *, at: datetime) -> Sql:
    """A SELECT of the products in categories that the segments hold, each as often as it is in them."""
    return sql(
        "SELECT place.product_id FROM catalog_categoryassignment AS place"
        " WHERE place.tenant_id = {tenant} AND place.category_id IN ({held})",
        tenant=param(tenant_id),
        held=categories_in_assortment(tenant_id, param(list(keys), "bigint[]"), at=at),
    )
