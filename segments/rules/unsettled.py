"""Customers of what is made while they wait, such as a redemption: they are noted when its change settles.

So the background worker asks whether a LIVE rule reads it, not the request (core/journal/settling.py). Until
then the change itself says that the customer is due.
"""

from core.journal.partitions import RECENT
from core.journal.settling import before_settling
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import execute
from segments.rules.triggers import WATCHING

_objects: list[str] = []


def note_when_settling(name: str) -> None:
    """Have customers noted for what the journal calls so, by its column `customer_id`, when it was made."""
    _objects.append(name)


def unsettled_customers(tenant: Sql, customer: Sql) -> Sql:
    """A SELECT of the changes of a customer that are still to be noted."""
    return sql(
        "SELECT FROM {recent} AS change WHERE {made} AND change.tenant_id = {tenant}"
        " AND (change.after ->> 'customer_id')::bigint = {customer}",
        recent=identifier(RECENT),
        made=_made(),
        tenant=tenant,
        customer=customer,
    )


def _note(ids: Sql) -> None:
    execute(
        sql(
            "INSERT INTO segments_duecustomer (tenant_id, customer_id)"
            " SELECT DISTINCT it.tenant_id, it.customer_id FROM ("
            "SELECT change.tenant_id, (change.after ->> 'customer_id')::bigint AS customer_id,"
            " change.object || '.*' AS watched FROM {recent} AS change WHERE change.id = ANY({ids})"
            " AND {made}) AS it WHERE it.customer_id IS NOT NULL AND EXISTS ("
            "SELECT FROM segments_rule AS rule WHERE {watching} AND it.watched = ANY(rule.watched))",
            recent=identifier(RECENT),
            ids=ids,
            made=_made(),
            watching=Sql(WATCHING),
        )
    )


def _made() -> Sql:
    return sql("change.object = ANY({names}) AND change.kind = 'created'", names=param(_objects, "text[]"))


before_settling(_note)
