"""Exact counts of what segments hold, as triggers keep them: never counted when a page is read."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import IntegerField, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from core.journal.declarations import Statements
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from segments.models import Tally


@dataclass(frozen=True, slots=True)
class Held:
    """What a segment holds, whether it counts now or not. Of the members some are for companies."""

    members: int = 0
    company_members: int = 0
    products: int = 0
    categories: int = 0

    @property
    def items(self) -> int:
        return self.products + self.categories


NOTHING = Held()


def held_by(tenant_id: int, segment_keys: Iterable[int]) -> dict[int, Held]:
    """Return what each of the segments holds, in one statement; one that never held anything is left out."""
    rows = fetch_rows(
        sql(
            "SELECT key, kind, sum(count)::bigint FROM segments_tally"
            " WHERE tenant_id = {tenant} AND key = ANY({keys}) AND kind <> 'customers' GROUP BY key, kind",
            tenant=param(tenant_id),
            keys=param(list(segment_keys), "bigint[]"),
        )
    )
    found: dict[int, dict[str, int]] = {}
    for key, kind, count in rows:
        found.setdefault(key, {})[kind] = count
    return {key: Held(**counts) for key, counts in found.items()}


def customers_of(tenant_id: int) -> int:
    """Return how many customers the tenant has, in one statement."""
    [(count,)] = fetch_rows(
        sql(
            "SELECT coalesce(sum(count), 0)::bigint FROM segments_tally"
            " WHERE tenant_id = {tenant} AND key = {tenant} AND kind = {kind}",
            tenant=param(tenant_id),
            kind=param(Tally.Kind.CUSTOMERS.value),
        )
    )
    return count


def tallied(*kinds: Tally.Kind) -> Coalesce:
    """Return what a query of segments annotates: how many rows of these kinds each has."""
    tallies = Tally.objects.filter(tenant=OuterRef("tenant_id"), key=OuterRef("pk"), kind__in=kinds)
    total = tallies.order_by().values("key").annotate(total=Sum("count")).values("total")
    return Coalesce(Subquery(total, output_field=IntegerField()), 0)


# --- What triggers do (segments/journal.py).

TALLY = """    PERFORM {tallies} FROM (
        SELECT tenant_id, segment_id, {sums} FROM {rows} GROUP BY tenant_id, segment_id
    ) AS found{condition};
"""
# A segment that is deleted takes its tallies along, whether its members go before or after it.
IS_KEPT = " WHERE EXISTS (SELECT FROM segments_segment AS owner WHERE owner.id = found.segment_id)"
# Most updates move nothing to another segment, customer or item.
IF_MOVED = """    IF is_moved THEN
{statements}    END IF;
"""
FORGET = """    DELETE FROM segments_tally AS tally USING before
    WHERE tally.tenant_id = before.tenant_id AND tally.key = before.id AND tally.kind <> 'customers';
"""
COUNT_CUSTOMERS = """    PERFORM tally(tenant_id, 'customers', tenant_id, {sign} number) FROM (
        SELECT tenant_id, count(*) AS number FROM {rows} GROUP BY tenant_id
    ) AS found;
"""


def tallying(**columns: str) -> Statements:
    """Return the statements that count rows by segment: for each kind those whose column is set."""
    tallies = ", ".join(f"tally(tenant_id, '{kind}', segment_id, {kind})" for kind in columns)
    listed = ", ".join(["tenant_id", "segment_id", *dict.fromkeys(columns.values())])
    rows = {
        "INSERT": f"(SELECT {listed}, 1 AS sign FROM changed) AS it",
        "DELETE": f"(SELECT {listed}, -1 AS sign FROM before) AS it",
        "UPDATE": f"(SELECT {listed}, 1 AS sign FROM changed"
        f" UNION ALL SELECT {listed}, -1 FROM before) AS it",
    }
    sums = ", ".join(
        f"coalesce(sum(sign) FILTER (WHERE {column} IS NOT NULL), 0) AS {kind}"
        for kind, column in columns.items()
    )
    statements = {
        event: TALLY.format(
            tallies=tallies, sums=sums, rows=source, condition="" if event == "INSERT" else IS_KEPT
        )
        for event, source in rows.items()
    }
    return {**statements, "UPDATE": IF_MOVED.format(statements=statements["UPDATE"])}


OF_SEGMENTS: Statements = {"DELETE": FORGET}
OF_MEMBERS = tallying(members="customer_id", company_members="legal_entity_id")
OF_ITEMS = tallying(products="product_id", categories="category_id")
OF_CUSTOMERS: Statements = {
    "INSERT": COUNT_CUSTOMERS.format(sign="", rows="changed"),
    "DELETE": COUNT_CUSTOMERS.format(sign="-", rows="before"),
}
