"""Reads the journal in the order of commits and writes the events of each tenant, each exactly once.

Identities are given before commits: a reader that goes on after the highest id that it saw misses a lower one
that is committed later. This one reads only transactions below the oldest one that is still running in this
database, in the order of (tx, id): nothing can appear before its position any more. Events and position are
one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows
from events.feed.running import oldest_running, transactions_elsewhere
from events.feed.sources import compose, made_types, objects_of
from events.feed.windows import BOUNDARIES, boundaries, boundaries_due, late_boundaries
from events.models import FeedPosition
from events.routing import receivers

MOST_EVENTS = 10_000  # of one transaction; one row of the journal may stand for more
MOST_CHANGES = 5_000
RECENTLY = timedelta(seconds=5)  # longer than a slice of an import
QUICK_GROWTH = 25_000  # events within RECENTLY; no reader keeps up with that

Targets = Mapping[str, tuple[int, ...]]
"""The types of events that are wanted, each with the keys of the targets that get it."""

IDLE = (
    "NOT EXISTS (SELECT FROM events_subscription AS one"
    " WHERE one.tenant_id = position.tenant_id AND one.state = 'SUBSCRIBED')"
)
WITHOUT_FEED = (
    "events_subscription AS one WHERE one.state = 'SUBSCRIBED' AND NOT EXISTS"
    " (SELECT FROM events_feedposition AS position WHERE position.tenant_id = one.tenant_id)"
)


def unread(elsewhere: Sql) -> Sql:
    """The condition that a change is behind the position, and that nothing can come before it any more.

    `elsewhere` are the transactions that run in other databases.
    """
    return sql(
        "(change.tx, change.id) > (position.tx::text::xid8, position.journal_id)"
        " AND change.tx < (SELECT {oldest})"  # looked up once, as the index is searched by it
        # what was committed before the feed began is not in it
        " AND NOT pg_visible_in_snapshot(change.tx, position.began_in::pg_snapshot)",
        oldest=oldest_running(elsewhere),
    )


def first_unread(elsewhere: Sql) -> Sql:
    """When the first change that is to be read was made; NULL when there is none."""
    return sql(
        "(SELECT change.at FROM journal_change AS change WHERE change.tenant_id = position.tenant_id"
        " AND {unread} ORDER BY change.tx, change.id LIMIT 1)",
        unread=unread(elsewhere),
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes to read next: up to which one, of which objects, and the keys of segments among them.

    With `is_last` there are no more.
    """

    tx: str
    journal_id: int
    objects: tuple[str, ...]
    segments: tuple[int, ...]
    is_last: bool


def start_feed(tenant_id: int, *, at: datetime) -> None:
    """Keep the feed of a tenant from now on, unless it is kept already.

    It begins with what is committed after this statement. Call it in the transaction that subscribes.
    """
    execute(
        sql(
            "INSERT INTO events_feedposition"
            " (tenant_id, tx, journal_id, began_in, began_at, windows_until, kept_from)"
            " SELECT {tenant}, pg_snapshot_xmin(now.snapshot)::text::bigint - 1, 0, now.snapshot::text, {at},"
            " {at}, (SELECT coalesce(max(event.id) + 1, 0) FROM events_event AS event"
            " WHERE event.tenant_id = {tenant})"
            " FROM (SELECT pg_current_snapshot() AS snapshot) AS now ON CONFLICT DO NOTHING",
            tenant=param(tenant_id),
            at=param(at),
        )
    )


def keep_positions(at: datetime) -> None:
    """Begin the feeds of tenants that somebody subscribed by SQL, end those that nobody is subscribed to."""
    execute(
        sql(
            "DELETE FROM events_feedposition WHERE tenant_id IN (SELECT position.tenant_id"
            " FROM events_feedposition AS position WHERE {idle} FOR UPDATE SKIP LOCKED)",
            idle=Sql(IDLE),
        )
    )
    for (tenant_id,) in fetch_rows(Sql(f"SELECT DISTINCT one.tenant_id FROM {WITHOUT_FEED}")):
        start_feed(tenant_id, at=at)


def waiting_since(at: datetime) -> datetime | None:
    """Return since when a feed has something to do, None when all is done: in one look-up for each tenant."""
    elsewhere = transactions_elsewhere()
    statement = sql(
        "SELECT least(min(waiting.since), (SELECT min(one.modified_at) FROM {without_feed}),"
        " min(position.began_at) FILTER (WHERE {idle})) FROM events_feedposition AS position"
        " CROSS JOIN LATERAL (SELECT least({unread}, {boundary}) AS since) AS waiting",
        without_feed=Sql(WITHOUT_FEED),
        idle=Sql(IDLE),
        unread=first_unread(elsewhere),
        boundary=boundaries_due("position", param(at, "timestamptz")),
    )
    [[since]] = fetch_rows(statement)
    return since


def waiting_tenants(elsewhere: Sql, at: datetime) -> tuple[list[int], list[int]]:
    """Return the tenants with boundaries that passed, and those with changes to read; longest waits first."""
    statement = sql(
        "SELECT position.tenant_id, waiting.boundary IS NOT NULL, waiting.unread IS NOT NULL"
        " FROM events_feedposition AS position"
        " CROSS JOIN LATERAL (SELECT {unread} AS unread, {boundary} AS boundary) AS waiting"
        " WHERE coalesce(waiting.unread, waiting.boundary) IS NOT NULL"
        " ORDER BY least(waiting.unread, waiting.boundary)",
        unread=first_unread(elsewhere),
        boundary=boundaries_due("position", param(at, "timestamptz")),
    )
    rows = fetch_rows(statement)
    return [tenant for tenant, passed, _ in rows if passed], [tenant for tenant, _, unread in rows if unread]


def read_feeds(at: datetime) -> bool:
    """Read for each tenant with something to do, as far as one slice goes; return whether there is more.

    Boundaries of windows come first, so that they do not wait for an import of another tenant. While changes
    come more quickly than they can be read, the answer is that there is no more: the reader pauses and leaves
    the processor to the writers, since it would not catch up before they end.
    """
    keep_positions(at)
    elsewhere = transactions_elsewhere()
    passed, waiting = waiting_tenants(elsewhere, at)
    for tenant_id in passed:
        pass_boundaries(tenant_id, at=at)
    behind = [tenant_id for tenant_id in waiting if read_changes(tenant_id, elsewhere, at=at)]
    return any(not grows_quickly(tenant_id, at=at) for tenant_id in behind)


def grows_quickly(tenant_id: int, *, at: datetime) -> bool:
    """Say whether somebody is writing more changes than a reader can read meanwhile."""
    [[count]] = fetch_rows(
        sql(
            "SELECT coalesce(sum(latest.count), 0) FROM (SELECT change.count, change.at"
            " FROM journal_change AS change WHERE change.tenant_id = {tenant}"
            " ORDER BY change.tx DESC, change.id DESC LIMIT {most}) AS latest WHERE latest.at > {since}",
            tenant=param(tenant_id),
            most=param(QUICK_GROWTH),
            since=param(at - RECENTLY),
        )
    )
    return bool(count >= QUICK_GROWTH)


@transaction.atomic
def pass_boundaries(tenant_id: int, *, at: datetime) -> None:
    """Write the events of the windows that opened or closed since the last time.

    Does nothing while another worker reads for the tenant: its position is locked.
    """
    position = hold_position(tenant_id)
    if position is None or not position.windows_until or position.windows_until >= at:
        return
    targets = wanted(tenant_id)
    if not BOUNDARIES.keys().isdisjoint(targets):
        passed = boundaries(tenant_id, targets, since=position.windows_until, until=at)
        add_events(tenant_id, passed, targets, at=at)
    FeedPosition.objects.filter(pk=tenant_id).update(windows_until=at)


@transaction.atomic
def read_changes(tenant_id: int, elsewhere: Sql, *, at: datetime) -> bool:
    """Write the events of the next changes of a tenant; return whether there are more.

    Does nothing while another worker reads for the tenant.
    """
    position = hold_position(tenant_id)
    if position is None:
        return False
    targets = wanted(tenant_id)
    batch = next_batch(tenant_id, elsewhere, objects_of(targets))
    if batch is None:
        return False
    if batch.objects:
        write_events(tenant_id, elsewhere, batch, targets, at=at)
    if batch.segments and position.windows_until and not BOUNDARIES.keys().isdisjoint(targets):
        late = late_boundaries(
            tenant_id,
            targets,
            batch.segments,
            since=position.began_at or position.windows_until,
            until=position.windows_until,
        )
        add_events(tenant_id, late, targets, at=at)
    FeedPosition.objects.filter(pk=tenant_id).update(
        tx=int(batch.tx), journal_id=batch.journal_id, read_at=at
    )
    return not batch.is_last


def wanted(tenant_id: int) -> Targets:
    """Return the types of events that the tenant is subscribed to and that are made here."""
    made = made_types().keys() | BOUNDARIES.keys()
    return {name: keys for name, keys in receivers(tenant_id).items() if name in made}


def hold_position(tenant_id: int) -> FeedPosition | None:
    """Return the tenant's position, locked until commit; None when another worker has it or there is none."""
    return FeedPosition.objects.select_for_update(skip_locked=True).filter(pk=tenant_id).first()


def next_batch(tenant_id: int, elsewhere: Sql, objects: Sequence[str]) -> Batch | None:
    """Return the next changes, as many as come to MOST_EVENTS events, and at least one."""
    rows = fetch_rows(
        sql(
            "SELECT change.tx::text, change.id, change.object, CASE WHEN change.object = ANY({objects})"
            " THEN change.count ELSE 0 END, change.key FROM events_feedposition AS position"
            " JOIN journal_change AS change ON change.tenant_id = position.tenant_id"
            " WHERE position.tenant_id = {tenant} AND {unread} ORDER BY change.tx, change.id LIMIT {most}",
            objects=param(list(objects), "text[]"),
            tenant=param(tenant_id),
            unread=unread(elsewhere),
            most=param(MOST_CHANGES),
        )
    )
    if not rows:
        return None
    taken, events = 0, 0
    for *_, count, _ in rows:
        if taken and events + count > MOST_EVENTS:
            break
        taken += 1
        events += count
    tx, journal_id, *_ = rows[taken - 1]
    found = {name for _, _, name, *_ in rows[:taken]}
    return Batch(
        tx,
        journal_id,
        tuple(name for name in objects if name in found),
        tuple({key for _, _, name, _, key in rows[:taken] if name == "segment"}),
        is_last=taken == len(rows) < MOST_CHANGES,
    )


def write_events(tenant_id: int, elsewhere: Sql, batch: Batch, targets: Targets, *, at: datetime) -> None:
    """Write the events of a batch in the order of commits, and queue them for their targets.

    `targets` are the wanted types of events, each with the keys of the targets that get it.
    """
    changes = sql(
        "SELECT change.*, tenant.name AS tenant FROM events_feedposition AS position"
        " JOIN tenancy_tenant AS tenant ON tenant.id = position.tenant_id"
        " JOIN journal_change AS change ON change.tenant_id = position.tenant_id"
        " WHERE position.tenant_id = {tenant} AND {unread} AND change.object = ANY({objects})"
        " AND (change.tx, change.id) <= ({tx}::xid8, {id})",
        tenant=param(tenant_id),
        unread=unread(elsewhere),
        objects=param(list(batch.objects), "text[]"),
        tx=param(batch.tx, "text"),
        id=param(batch.journal_id),
    )
    composed = sql(
        "WITH change AS MATERIALIZED ({changes}), made AS ({events})"
        " SELECT made.type, made.order_key, made.payload, made.customer, made.at, made.tx, made.change_id,"
        " row_number() OVER (PARTITION BY made.change_id ORDER BY made.number) - 1 AS part, '' AS origin"
        " FROM made ORDER BY made.tx, made.change_id, made.number",
        changes=changes,
        events=compose(targets.keys(), batch.objects),
    )
    add_events(tenant_id, composed, targets, at=at)


def add_events(tenant_id: int, composed: Sql, targets: Targets, *, at: datetime) -> int:
    """Store events and queue them for their targets, in one statement; return how many there are.

    `composed` is a SELECT of type, order key, payload, customer's number, instant, tx, journal id, part and
    origin, in the order of the feed. An event that is stored already is left out.
    """
    pairs = [(name, key) for name, keys in targets.items() for key in keys]
    statement = sql(
        "WITH stored AS (INSERT INTO events_event (tenant_id, external_id, type, order_key, payload,"
        " customer_number, occurred_at, tx, journal_id, part, origin, is_test)"
        " SELECT {tenant}, {external_id}, made.type, made.order_key, made.payload, made.customer, made.at,"
        " made.tx::text::bigint, made.change_id, made.part, made.origin, FALSE"
        " FROM ({composed}) AS made ON CONFLICT DO NOTHING RETURNING id, type, order_key),"
        " queued AS (INSERT INTO events_delivery"
        " (tenant_id, event_id, target_id, order_key, state, attempts, last_answer, last_error)"
        " SELECT {tenant}, stored.id, receiver.target, stored.order_key, 'PENDING', 0, '', ''"
        " FROM stored JOIN unnest({types}, {targets}) AS receiver (type, target) USING (type)"
        " ORDER BY stored.id RETURNING target_id, order_key),"
        " lanes AS (INSERT INTO events_lane (tenant_id, target_id, order_key, due_at)"
        " SELECT DISTINCT {tenant}, queued.target_id, queued.order_key, {at}::timestamptz FROM queued"
        " ORDER BY queued.target_id, queued.order_key ON CONFLICT (target_id, order_key)"
        " DO UPDATE SET due_at = excluded.due_at WHERE events_lane.due_at IS NULL)"
        " SELECT count(*) FROM stored",
        tenant=param(tenant_id, "bigint"),
        external_id=Sql(EXTERNAL_ID),
        composed=composed,
        types=param([name for name, _ in pairs], "text[]"),
        targets=param([key for _, key in pairs], "bigint[]"),
        at=param(at),
    )
    [[count]] = fetch_rows(statement)
    return count


EXTERNAL_ID = (
    "CASE WHEN made.origin = '' THEN to_hex(made.change_id) || '-' || to_hex(made.part)"
    " ELSE 'w-' || left(md5(made.origin), 30) END"
)
"""The id of an event follows from where it comes from, so that it is the same whenever it is made."""
