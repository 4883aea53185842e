"""Deliveries: how they are queued, and queued again."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from core.sql.composition import param, sql
from core.sql.fetching import execute, fetch_rows
from core.tenancy.identifiers import generate_id
from events.errors import DeliveryNotFound, TargetNotFound, TooManyDeliveries
from events.event_types import TEST_EVENT
from events.models import Delivery, Event, SendingByHand, Target
from events.routing import receivers

MOST_REPLAYED = 100_000


def add_deliveries(*, tenant_id: int, rows: Sequence[tuple[int, int, str]], at: datetime) -> int:
    """Queue events for targets, given as (event, target, order key); return how many are new.

    The events of a tenant are given in the order of their keys. An event that is queued for the target, or
    was sent to it, is not queued again. Call it in the transaction that makes the events.
    """
    if not rows:
        return 0
    events, targets, order_keys = zip(*rows, strict=True)
    slots = {
        "tenant": param(tenant_id, "bigint"),
        "targets": param(list(targets), "bigint[]"),
        "order_keys": param(list(order_keys), "text[]"),
    }
    count = execute(
        sql(
            "INSERT INTO events_delivery (tenant_id, event_id, target_id, order_key, state, attempts,"
            " last_answer, last_error)"
            " SELECT {tenant}, queued.event, queued.target, queued.order_key, 'PENDING', 0, '', ''"
            " FROM unnest({events}, {targets}, {order_keys}) AS queued(event, target, order_key)"
            " ORDER BY queued.event ON CONFLICT (target_id, event_id) DO NOTHING",
            events=param(list(events), "bigint[]"),
            **slots,
        )
    )
    execute(
        sql(
            "INSERT INTO events_lane (tenant_id, target_id, order_key, due_at)"
            " SELECT DISTINCT {tenant}, queued.target, queued.order_key, {at}::timestamptz"
            " FROM unnest({targets}, {order_keys}) AS queued(target, order_key)"
            " ORDER BY queued.target, queued.order_key"
            " ON CONFLICT (target_id, order_key) DO UPDATE SET due_at = excluded.due_at"
            " WHERE events_lane.due_at IS NULL",
            at=param(at),
            **slots,
        )
    )
    return count


def retry_delivery(*, tenant_id: int, delivery_id: int, at: datetime) -> Delivery:
    """Send one delivery again, at once, as if for the first time; raise DeliveryNotFound."""
    with transaction.atomic():
        delivery = (
            Delivery.objects.select_for_update(of=("self",), no_key=True)
            .filter(tenant=tenant_id, pk=delivery_id)
            .first()
        )
        if delivery is None:
            raise DeliveryNotFound(resource_id=str(delivery_id))
        send_again([delivery.pk], tenant_id=tenant_id, at=at)
    delivery.refresh_from_db()
    return delivery


@transaction.atomic
def send_again(keys: Sequence[int], *, tenant_id: int, at: datetime) -> int:
    """Queue deliveries anew, whatever became of them; return how many. They keep the ids of their events.

    The history says of each target how many there were.
    """
    execute(
        sql(
            "INSERT INTO events_sendingbyhand (tenant_id, target_id, kind, count, asked_at)"
            " SELECT {tenant}, target_id, 'AGAIN', count(*), {at}::timestamptz FROM events_delivery"
            " WHERE tenant_id = {tenant} AND id = ANY({keys}) GROUP BY target_id ORDER BY target_id",
            tenant=param(tenant_id, "bigint"),
            keys=param(list(keys), "bigint[]"),
            at=param(at),
        )
    )
    return queue_again(keys, tenant_id=tenant_id, at=at)


def queue_again(keys: Sequence[int], *, tenant_id: int, at: datetime) -> int:
    """Queue deliveries anew, in the transaction of what asks for it."""
    slots = {"tenant": param(tenant_id, "bigint"), "keys": param(list(keys), "bigint[]")}
    count = execute(
        sql(
            "UPDATE events_delivery SET state = 'PENDING', attempts = 0, first_attempt_at = NULL,"
            " finished_at = NULL WHERE tenant_id = {tenant} AND id = ANY({keys})",
            **slots,
        )
    )
    execute(
        sql(
            "INSERT INTO events_lane (tenant_id, target_id, order_key, due_at)"
            " SELECT DISTINCT {tenant}, target_id, order_key, {at}::timestamptz FROM events_delivery"
            " WHERE tenant_id = {tenant} AND id = ANY({keys}) ORDER BY target_id, order_key"
            " ON CONFLICT (target_id, order_key) DO UPDATE SET due_at = excluded.due_at",
            at=param(at),
            **slots,
        )
    )
    execute(
        sql(
            "UPDATE events_target SET resume_at = NULL WHERE tenant_id = {tenant} AND resume_at IS NOT NULL"
            " AND id IN (SELECT target_id FROM events_delivery WHERE tenant_id = {tenant}"
            " AND id = ANY({keys}))",
            **slots,
        )
    )
    return count


@transaction.atomic
def replay_deliveries(
    *,
    target: Target,
    since: datetime,
    until: datetime | None = None,
    only_failed: bool = False,
    at: datetime,
) -> int:
    """Send a target once more what happened since an instant; return how many events.

    Events that the target never got are sent as well, if they are of a type that it gets now, unless
    `only_failed`. Raises TooManyDeliveries beyond 100,000.
    """
    types = [name for name, keys in receivers(target.tenant_id).items() if target.pk in keys]
    events = sql(
        "SELECT event.id, event.order_key FROM events_event AS event WHERE event.tenant_id = {tenant}"
        " AND event.occurred_at >= {since} AND event.occurred_at <= {until} AND NOT event.is_test",
        tenant=param(target.tenant_id),
        since=param(since),
        until=param(until or at),
    )
    failed = sql(
        "SELECT delivery.event_id, delivery.order_key FROM events_delivery AS delivery"
        " JOIN ({events}) AS event ON event.id = delivery.event_id"
        " WHERE delivery.target_id = {target} AND delivery.state = 'FAILED'",
        events=events,
        target=param(target.pk),
    )
    wanted = (
        failed
        if only_failed
        else sql("{events} AND event.type = ANY({types})", events=events, types=param(types, "text[]"))
    )
    rows = fetch_rows(sql("{wanted} ORDER BY 1 LIMIT {most}", wanted=wanted, most=param(MOST_REPLAYED + 1)))
    if len(rows) > MOST_REPLAYED:
        raise TooManyDeliveries(
            f"More than {MOST_REPLAYED:,} events happened since then. Name a later instant, or until."
        )
    queued = [(event, target.pk, order_key) for event, order_key in rows]
    add_deliveries(tenant_id=target.tenant_id, rows=queued, at=at)
    keys = Delivery.objects.filter(target=target, event__in=[event for event, _ in rows])
    queue_again(list(keys.values_list("pk", flat=True)), tenant_id=target.tenant_id, at=at)
    SendingByHand.objects.create(
        tenant_id=target.tenant_id,
        target=target,
        kind=SendingByHand.Kind.REPLAY,
        since=since,
        count=len(rows),
        asked_at=at,
    )
    return len(rows)


@transaction.atomic
def send_test_event(*, target: Target, at: datetime) -> Delivery:
    """Queue a test event for one target and return its delivery. No filter stops it."""
    event = Event.objects.create(
        tenant_id=target.tenant_id,
        type=TEST_EVENT,
        order_key=f"{TEST_EVENT} {generate_id()}",
        payload={"message": "This is a test event.", "targetId": target.external_id},
        occurred_at=at,
        is_test=True,
    )
    add_deliveries(tenant_id=target.tenant_id, rows=[(event.pk, target.pk, event.order_key)], at=at)
    Target.objects.filter(pk=target.pk).update(resume_at=None)
    SendingByHand.objects.create(
        tenant_id=target.tenant_id, target=target, kind=SendingByHand.Kind.TEST, asked_at=at
    )
    return Delivery.objects.get(target=target, event=event)


def find_target(tenant_id: int, target_id: str) -> Target:
    """Return the tenant's target with this id; raise TargetNotFound."""
    target = Target.objects.filter(tenant=tenant_id, external_id=target_id).first()
    if target is None:
        raise TargetNotFound(resource_id=target_id)
    return target
