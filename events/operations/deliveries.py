"""Deliveries: how they are queued."""

from collections.abc import Sequence
from datetime import datetime

from core.sql.composition import param, sql
from core.sql.fetching import execute


def add_deliveries(*, tenant_id: int, rows: Sequence[tuple[int, int, str]], at: datetime) -> int:
    """Queue events for targets, given as (event, target, order key); return how many are new.

    The events of a tenant are given in the order of their keys. An event that is queued for the target, or
    was sent to it, is not queued again. Call it in the transaction that makes the events.
    """
    if not rows:
        return 0
    events, targets, order_keys = zip(*rows, strict=True)
    slots = {
        "tenant": param(tenant_id),
        "events": param(list(events), "bigint[]"),
        "targets": param(list(targets), "bigint[]"),
        "order_keys": param(list(order_keys), "text[]"),
        "at": param(at),
    }
    count = execute(
        sql(
            "INSERT INTO events_delivery (tenant_id, event_id, target_id, order_key, state, attempts,"
            " last_answer, last_error)"
            " SELECT {tenant}, queued.event, queued.target, queued.order_key, 'PENDING', 0, '', ''"
            " FROM unnest({events}, {targets}, {order_keys}) AS queued(event, target, order_key)"
            " ON CONFLICT (target_id, event_id) DO NOTHING",
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
            **slots,
        )
    )
    return count
