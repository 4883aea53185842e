"""Customers of what is made while they wait, such as a redemption: they are noted when its change settles.

So the background worker asks whether a LIVE rule reads it, not the request (core/journal/settling.py). Until
then the change itself says that the customer is due.
"""

from core.journal.copying import row_made
from core.journal.declarations import recorded_as
from core.journal.partitions import RECENT
from core.journal.settling import before_settling
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import execute
from segments.rules.triggers import note_customers

_objects: list[str] = []


def note_when_settling(name: str) -> None:
    """Have customers noted for what the journal calls so, by its column `customer_id`, when it was made."""
    _objects.append(name)


def unsettled_customers(tenant: Sql, customer: Sql) -> Sql:
    """A SELECT of the changes of a customer that are still to be noted."""
    return sql(
        "SELECT FROM ({made}) AS made WHERE made.tenant_id = {tenant} AND made.customer_id = {customer}",
        made=Sql.joined(" UNION ALL ", map(_made, _objects)),
        tenant=tenant,
        customer=customer,
    )


def _note(ids: Sql) -> None:
    for name in _objects:
        made = sql(
            "SELECT DISTINCT tenant_id, customer_id FROM ({made}) AS made WHERE id = ANY({ids})",
            made=_made(name),
            ids=ids,
        )
        execute(sql(note_customers(name, "{made}"), made=made))


def _made(name: str) -> Sql:
    """A SELECT of the recent changes that made something of this name, and its customers."""
    return sql(
        "SELECT change.id, change.tenant_id, made.customer_id"
        " FROM {recent} AS change CROSS JOIN LATERAL {row_made} AS made"
        " WHERE change.object = {name} AND change.kind = 'created'",
        recent=identifier(RECENT),
        row_made=Sql(row_made(recorded_as(name).table, {"customer_id": "bigint"})),
        name=param(name),
    )


before_settling(_note)
