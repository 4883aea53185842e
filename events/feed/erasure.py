"""How a customer is erased in the events that are kept, and exported from them."""

from core.json_types import JsonObject
from core.personal_data.customers import (
    CustomerTrace,
    Eraser,
    Exporter,
    exported,
    register_eraser,
    register_exporter,
)
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows

NUMBERS = ("customerId", "customerNumber")


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Let the pseudonym take the number's place in events; names, e-mail and own attributes go.

    The tenant's reader waits until the erasure is committed: it would write what it read before.
    """
    fetch_rows(
        sql(
            "SELECT FROM events_feedposition WHERE tenant_id = {tenant} FOR UPDATE",
            tenant=param(trace.tenant_id),
        )
    )
    replaced = [
        sql(
            "CASE WHEN jsonb_exists(payload, {name}) THEN jsonb_build_object({name}, {pseudonym})"
            " ELSE '{{}}' END",
            name=param(name, "text"),
            pseudonym=param(trace.pseudonym, "text"),
        )
        for name in NUMBERS
    ]
    erased = execute(
        sql(
            "UPDATE events_event SET customer_number = {pseudonym}, payload = payload - 'mixins' - 'customer'"
            " - CASE WHEN {mentioned} THEN 'orderCode' ELSE '' END || {numbers}"
            " || CASE WHEN jsonb_exists(payload, 'customer')"
            " THEN jsonb_build_object('customer', jsonb_build_object('id', {pseudonym})) ELSE '{{}}' END"
            " WHERE tenant_id = {tenant} AND customer_number = {number}",
            tenant=param(trace.tenant_id),
            number=param(trace.number),
            pseudonym=param(trace.pseudonym, "text"),
            mentioned=trace.clearly_mentioned_in(Sql("(payload ->> 'orderCode')")),
            numbers=Sql.joined(" || ", replaced),
        )
    )
    return {"events": erased}


def export(trace: CustomerTrace) -> JsonObject:
    """Return the events about the customer that are kept."""
    columns = {"id": "external_id", "type": "type", "at": "occurred_at", "payload": "payload"}
    events = sql(
        "FROM events_event WHERE tenant_id = {tenant} AND customer_number = {number} ORDER BY id",
        tenant=param(trace.tenant_id),
        number=param(trace.number),
    )
    return {"events": exported(columns, events, documents=["payload"])}


register_eraser(Eraser("events", erase))
register_exporter(Exporter("events", export))
