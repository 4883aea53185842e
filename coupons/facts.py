"""Facts about redemptions for rules of segments: `redemptions.count`, `redemptions.90d.total` and so on."""

import re
from functools import partial

from core.representation.conditions import QuerySyntaxError, Term
from core.representation.fields import Field, Integer, Number, Texts, Time
from core.representation.relative_instants import RelativeInstant
from core.sql.composition import Sql, param, sql
from coupons.models import Redemption
from segments.rules.facts import (
    Fact,
    Family,
    Join,
    Moments,
    Scope,
    register_facts,
    register_left_out_list,
)

WINDOW = re.compile(r"[1-9][0-9]{0,3}[hdwmy]")
REDEMPTIONS = Sql("coupons_redemption AS redemption WHERE redemption.customer_id IS NOT NULL")
MOMENTS = Moments(
    REDEMPTIONS,
    "redemption.tenant_id",
    "redemption.customer_id",
    Sql("redemption.redeemed_at"),
    is_indexed=True,
)
NOW = RelativeInstant(from_today=False)
NAMES = ("count", "total", "lastAt", "codes")


def fact_of_redemptions(scope: Scope, term: Term) -> Fact:
    """Return a fact about all redemptions of a customer, or those since the beginning of a window."""
    _, *path = term.path
    window = None
    if path and WINDOW.fullmatch(path[0]):
        window = RelativeInstant.read(f"now-{path[0]}")
        path = path[1:]
    if len(path) != 1 or path[0] not in NAMES:
        raise QuerySyntaxError(
            f"there is no fact {'.'.join(term.path)}; choose from "
            + ", ".join(f"redemptions.{name}" for name in NAMES)
            + ", or within a window such as redemptions.90d.count",
            term.position,
        )
    name = f"redemptions_{term.path[1]}" if window else "redemptions"
    has_codes = path[0] == "codes"
    join = Join(f"{name}_codes" if has_codes else name, partial(codes_of if has_codes else sums_of, window))
    fields: dict[str, Field] = {
        "count": Integer(f"coalesce({name}.count, 0)"),
        "total": Number(f"coalesce({name}.total, 0)"),
        "lastAt": Time(f"{name}.last_at"),
        "codes": Texts(f"{name}_codes.codes"),
    }
    return Fact(
        fields[path[0]],
        watches=frozenset({"redemption.*"}),
        joins=(join,),
        moments=MOMENTS,
        limits=(NOW,) if window is None else (window, NOW),
        left_out=partial(other_currencies, window) if path[0] == "total" else None,
        left_out_label=Redemption._meta.label if path[0] == "total" else "",
        rankable=path[0] if path[0] in ("count", "total") else "",
    )


def redemptions_since(window: RelativeInstant | None, scope: Scope) -> Sql:
    """The condition of redemptions since the beginning of a window, until now.

    Those that are imported with a later instant count from then on.
    """
    since = Sql("true")
    if window is not None:
        since = sql("redemption.redeemed_at > {begin}", begin=param(window.at(scope.clock), "timestamptz"))
    return sql(
        "redemption.tenant_id = {tenant} AND redemption.customer_id IS NOT NULL AND {narrowed} AND {since}"
        " AND redemption.redeemed_at <= {now}",
        tenant=param(scope.tenant_id),
        narrowed=scope.narrowed("redemption.customer_id"),
        since=since,
        now=param(scope.clock.at, "timestamptz"),
    )


def sums_of(window: RelativeInstant | None, scope: Scope) -> Sql:
    """A SELECT of each customer's redemptions: their number, the last one, and the discount granted.

    The discount is that in the tenant's currency; others are left out.
    """
    return sql(
        "SELECT redemption.customer_id, count(*) AS count, max(redemption.redeemed_at) AS last_at,"
        " sum(redemption.discount_amount) FILTER (WHERE redemption.discount_currency = {currency}) AS total"
        " FROM coupons_redemption AS redemption WHERE {chosen} GROUP BY redemption.customer_id",
        currency=param(scope.currency),
        chosen=redemptions_since(window, scope),
    )


def other_currencies(window: RelativeInstant | None, scope: Scope) -> Sql:
    """A SELECT of the redemptions that totals leave out."""
    return sql(
        "SELECT redemption.id FROM coupons_redemption AS redemption"
        " WHERE {chosen} AND redemption.discount_currency <> {currency}",
        chosen=redemptions_since(window, scope),
        currency=param(scope.currency),
    )


def codes_of(window: RelativeInstant | None, scope: Scope) -> Sql:
    """A SELECT of the codes that each customer redeemed."""
    return sql(
        "SELECT redemption.customer_id, array_agg(DISTINCT coupon.code::text) AS codes"
        " FROM coupons_redemption AS redemption JOIN coupons_coupon AS coupon"
        " ON coupon.tenant_id = redemption.tenant_id AND coupon.id = redemption.coupon_id"
        " WHERE {chosen} GROUP BY redemption.customer_id",
        chosen=redemptions_since(window, scope),
    )


register_facts(
    Family(
        "redemptions",
        fact_of_redemptions,
        (*(f"redemptions.{name}" for name in NAMES), *(f"redemptions.90d.{name}" for name in NAMES)),
    )
)
register_left_out_list(Redemption._meta.label)
