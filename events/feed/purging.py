"""Sends the groups of cached answers that changes touch to the cache at the edge, at least once.

It reads the journal as the feed does, with a position of its own for each tenant, whether or not anybody is
subscribed. The position moves when the cache has confirmed. Nothing is sent inside a transaction, which would
hold up the readers of the feed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
import urllib3
from django.conf import settings

from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows
from events.feed.reader import first_unread, unread
from events.feed.running import oldest_running, transactions_elsewhere
from events.models import PurgePosition
from segments.cache_groups import TREE, segment_group, tenant_group

TIMEOUT = 10.0  # seconds
GROUPS_OF_REQUEST = 100
MOST_CHANGES = 5_000  # more are purged as a whole tenant
MOST_GROUPS = 1_000

TREE_OBJECTS = ("category", "category-number", "category-product")
SEGMENT_OBJECTS = ("segment", "segment-product", "segment-category")
TENANT_OBJECTS = ("site", "tenant")
SHOWN_OF_PRODUCT = ("external_id", "code", "name", "is_published")
WATCHED = (*TREE_OBJECTS, *SEGMENT_OBJECTS, *TENANT_OBJECTS, "product")


class PurgeFailed(Exception):
    """The cache did not confirm a purge. It is sent again."""


@dataclass(frozen=True, slots=True)
class Purge:
    """What to purge for a tenant, and up to which transaction that is everything."""

    tenant_id: int
    tenant: str
    groups: tuple[str, ...]
    upto: int


def purge_waiting_since() -> datetime | None:
    """Return since when a change waits to be purged; None when none does, or no cache is configured."""
    if not settings.CACHE_PURGE_URL:
        return None
    elsewhere = transactions_elsewhere()
    statement = sql(
        "SELECT least(min({unread}), (SELECT now() WHERE EXISTS (SELECT FROM tenancy_tenant AS tenant"
        " WHERE tenant.id NOT IN (SELECT tenant_id FROM events_purgeposition))))"
        " FROM events_purgeposition AS position",
        unread=first_unread(elsewhere),
    )
    [[since]] = fetch_rows(statement)
    return since


def send_purges(at: datetime) -> bool:
    """Send what changed since the last time, tenant by tenant. Raises PurgeFailed; the rest waits then."""
    begin_positions(at)
    elsewhere = transactions_elsewhere()
    for purge in waiting_purges(elsewhere):
        for start in range(0, len(purge.groups), GROUPS_OF_REQUEST):
            send(purge.tenant, purge.groups[start : start + GROUPS_OF_REQUEST])
        PurgePosition.objects.filter(pk=purge.tenant_id).update(
            tx=purge.upto, journal_id=2**63 - 1, read_at=at
        )
    return False


def begin_positions(at: datetime) -> None:
    """Begin with what is committed from now on, for tenants that have no position yet."""
    execute(
        sql(
            "INSERT INTO events_purgeposition (tenant_id, tx, journal_id, began_in, read_at)"
            " SELECT tenant.id, pg_snapshot_xmin(now.snapshot)::text::bigint - 1, 0, now.snapshot::text, {at}"
            " FROM tenancy_tenant AS tenant, (SELECT pg_current_snapshot() AS snapshot) AS now"
            " WHERE tenant.id NOT IN (SELECT tenant_id FROM events_purgeposition) ON CONFLICT DO NOTHING",
            at=param(at),
        )
    )


def waiting_purges(elsewhere: Sql) -> list[Purge]:
    """Return what has changed, for each tenant with anything to read."""
    waiting = sql(
        "SELECT tenant.id, tenant.name FROM events_purgeposition AS position"
        " JOIN tenancy_tenant AS tenant ON tenant.id = position.tenant_id WHERE {unread} IS NOT NULL"
        " ORDER BY tenant.id",
        unread=first_unread(elsewhere),
    )
    return [purge_of(tenant_id, name, elsewhere) for tenant_id, name in fetch_rows(waiting)]


def purge_of(tenant_id: int, name: str, elsewhere: Sql) -> Purge:
    """Return the groups that a tenant's unread changes touch; of very many the tenant as a whole."""
    [[upto, count, is_whole, is_tree, segments]] = fetch_rows(
        sql(
            "WITH change AS MATERIALIZED (SELECT change.* FROM events_purgeposition AS position"
            " JOIN journal_change AS change ON change.tenant_id = position.tenant_id"
            " WHERE position.tenant_id = {tenant} AND {unread} AND change.object = ANY({watched})"
            " ORDER BY change.tx, change.id LIMIT {most}),"
            # a product is shown by what changed of it; deleted, it takes its assignments along
            " product AS (SELECT change.key FROM change WHERE change.object = 'product'"
            " AND change.kind = 'updated' AND jsonb_exists_any(change.after, {shown})),"
            " segment AS (SELECT coalesce(change.external_id, (SELECT gone.external_id"
            " FROM journal_change AS gone WHERE gone.tenant_id = {tenant} AND gone.object = 'segment'"
            " AND gone.key = change.key AND gone.kind = 'deleted' LIMIT 1)) AS id FROM change"
            " WHERE change.object = ANY({of_segments})"
            " UNION SELECT segment.external_id FROM product JOIN segments_itemassignment AS item"
            " ON item.tenant_id = {tenant} AND item.product_id = product.key"
            " JOIN segments_segment AS segment ON segment.id = item.segment_id)"
            " SELECT ({oldest})::text::bigint - 1,"
            " (SELECT count(*) FROM change),"
            " EXISTS (SELECT FROM change WHERE change.object = ANY({of_tenants})),"
            " EXISTS (SELECT FROM change WHERE change.object = ANY({of_trees}))"
            " OR EXISTS (SELECT FROM product JOIN catalog_categoryassignment AS assignment"
            " ON assignment.tenant_id = {tenant} AND assignment.product_id = product.key),"
            " ARRAY(SELECT segment.id FROM segment WHERE segment.id IS NOT NULL ORDER BY 1 LIMIT {most})",
            tenant=param(tenant_id, "bigint"),
            unread=unread(elsewhere),
            oldest=oldest_running(elsewhere),
            watched=param(list(WATCHED), "text[]"),
            shown=param(list(SHOWN_OF_PRODUCT), "text[]"),
            of_segments=param(list(SEGMENT_OBJECTS), "text[]"),
            of_tenants=param(list(TENANT_OBJECTS), "text[]"),
            of_trees=param(list(TREE_OBJECTS), "text[]"),
            most=param(MOST_CHANGES + 1),
        )
    )
    groups = (*([TREE] if is_tree else []), *map(segment_group, segments))
    if is_whole or count > MOST_CHANGES or len(groups) > MOST_GROUPS:
        groups = (tenant_group(name),)
    return Purge(tenant_id, name, groups, upto)


def send(tenant: str, groups: Sequence[str]) -> None:
    """Ask the cache to purge the groups, in the forms that caches read; raise PurgeFailed."""
    try:
        answer = urllib3.request(
            "POST",
            settings.CACHE_PURGE_URL,
            body=orjson.dumps({"tenant": tenant, "tags": list(groups)}),
            headers={
                "Content-Type": "application/json",
                "Surrogate-Key": " ".join(groups),
                "Cache-Tag": ",".join(groups),
                **settings.CACHE_PURGE_HEADERS,
            },
            timeout=TIMEOUT,
            retries=False,
            redirect=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise PurgeFailed(f"The cache cannot be reached at CACHE_PURGE_URL: {error}") from error
    if not 200 <= answer.status < 300:
        raise PurgeFailed(f"The cache at CACHE_PURGE_URL answered {answer.status}.")
