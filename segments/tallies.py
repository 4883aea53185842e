"""Exact counts of what segments hold, as triggers keep them: never counted when a page is read."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import IntegerField, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

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
