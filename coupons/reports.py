"""What was issued, redeemed and given as a discount, by day, campaign and segment: from the rows themselves.

Redemptions are summed for each coupon and day first, by one range of an index that holds all that is summed;
only these sums are joined with campaigns and segments. Days are those of UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum

import orjson

from core.errors import InvalidInput
from core.sql.composition import Sql, bind, sql
from core.sql.fetching import fetch_rows

MOST_DAYS = 366
LONGEST_REPORT = 50_000


class Grouping(StrEnum):
    """What a report tells apart besides days."""

    NONE = ""
    CAMPAIGN = "campaign"
    SEGMENT = "segment"


@dataclass(frozen=True, slots=True)
class ReportLine:
    """A day, of a campaign or segment (its wire id), and a currency, which is empty for what has none."""

    day: date
    group: str
    currency: str
    issued: int
    redeemed: int
    discount: Decimal
    outcomes: Mapping[str, int]
    """How often coupons were found valid or refused, by outcome (see JudgementCount)."""


GROUPS = {
    Grouping.NONE: (Sql("''::text"), Sql(""), Sql("")),
    Grouping.CAMPAIGN: (
        Sql("campaign.external_id"),
        Sql(
            " JOIN coupons_couponcampaign AS campaign ON campaign.tenant_id = coupon.tenant_id"
            " AND campaign.terms_id = coupon.terms_id AND coupon.id <> coupon.terms_id"
        ),
        Sql(
            " JOIN coupons_couponcampaign AS campaign ON campaign.tenant_id = judged.tenant_id"
            " AND campaign.terms_id = judged.coupon_id"
        ),
    ),
    Grouping.SEGMENT: (
        Sql("restriction.segment_external_id"),
        Sql(
            " JOIN coupons_couponsegment AS restriction"
            " ON restriction.coupon_id = coalesce(coupon.terms_id, coupon.id)"
        ),
        Sql(" JOIN coupons_couponsegment AS restriction ON restriction.coupon_id = judged.coupon_id"),
    ),
}
"""What names a group, and how it is joined with `coupon` and `judged`, which counts codes for their terms."""


def report(*, tenant_id: int, first: date, last: date, by: Grouping) -> list[ReportLine]:
    """Return the lines of the days from `first` to `last`, both included, in one statement.

    A coupon of several segments counts for each of them. By campaign, only codes of campaigns count. Raises
    InvalidInput when the days are in the wrong order, more than a year, or the lines more than 50,000.
    """
    if not timedelta(0) <= last - first < timedelta(MOST_DAYS):
        raise InvalidInput(
            f"A report covers 1 to {MOST_DAYS} days: until must not be before from.", field="until"
        )
    start, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(1)))
    group, join, judged_join = GROUPS[by]
    # without groups the coupons need not be told apart, which leaves a sum for each day only
    of_coupon = Sql("" if by is Grouping.NONE else ", coupon_id")
    coupons = Sql(" JOIN coupons_coupon AS coupon ON coupon.id = redeemed.coupon_id" if by else "")
    lines = fetch_rows(
        sql(
            "WITH redeemed AS MATERIALIZED ({redeemed}), issued AS ({issued}), judged AS ({judged}),"
            " line AS (SELECT redeemed.day, {group} AS name, redeemed.currency, 0 AS issued, redeemed.uses,"
            " redeemed.given, NULL::jsonb AS outcomes"
            " FROM redeemed{coupons}{join}"
            " UNION ALL SELECT issued.day, issued.name, '', issued.codes, 0, 0, NULL FROM issued"
            " UNION ALL SELECT judged.day, judged.name, '', 0, 0, 0,"
            " jsonb_object_agg(judged.outcome, judged.count) FROM judged GROUP BY 1, 2)"
            " SELECT day, name, currency, sum(issued)::bigint, sum(uses)::bigint, sum(given),"
            " coalesce((jsonb_agg(outcomes) FILTER (WHERE outcomes IS NOT NULL))->0, '{{}}') FROM line"
            " GROUP BY day, name, currency ORDER BY day, name, currency LIMIT {most}",
            coupons=coupons,
            redeemed=sql(
                "SELECT (redeemed_at AT TIME ZONE 'UTC')::date AS day, discount_currency AS currency,"
                " count(*) AS uses, sum(discount_amount) AS given{of_coupon} FROM coupons_redemption"
                " WHERE {in_time} GROUP BY 1, 2{of_coupon}",
                of_coupon=of_coupon,
                in_time=bind(
                    "tenant_id = {tenant} AND redeemed_at >= {start} AND redeemed_at < {end}",
                    tenant=tenant_id,
                    start=start,
                    end=end,
                ),
            ),
            issued=sql(
                "SELECT (coupon.created_at AT TIME ZONE 'UTC')::date AS day, {group} AS name,"
                " count(*) AS codes FROM coupons_coupon AS coupon{join} WHERE {created}"
                " AND coupon.terms_id IS DISTINCT FROM coupon.id GROUP BY 1, 2",
                group=group,
                join=join,
                created=bind(
                    "coupon.tenant_id = {tenant} AND coupon.created_at >= {start}"
                    " AND coupon.created_at < {end}",
                    tenant=tenant_id,
                    start=start,
                    end=end,
                ),
            ),
            judged=sql(
                "SELECT judged.day, {group} AS name, judged.outcome, sum(judged.count)::bigint AS count"
                " FROM coupons_judgementcount AS judged{join} WHERE {judged_then} GROUP BY 1, 2, 3",
                group=group,
                join=judged_join,
                judged_then=bind(
                    "judged.tenant_id = {tenant} AND judged.day BETWEEN {first} AND {last}",
                    tenant=tenant_id,
                    first=first,
                    last=last,
                ),
            ),
            group=group,
            join=join,
            most=Sql(str(LONGEST_REPORT + 1)),
        )
    )
    if len(lines) > LONGEST_REPORT:
        raise InvalidInput("The report has more than 50,000 lines. Ask for fewer days.", field="from")
    return [
        ReportLine(day, name, currency, issued, redeemed, discount, orjson.loads(outcomes))
        for day, name, currency, issued, redeemed, discount, outcomes in lines
    ]


def redemptions_by_day(tenant_id: int, *, first: date, last: date) -> dict[date, int]:
    """Return how often coupons were redeemed on each day that saw a redemption, in one statement."""
    start, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(1)))
    return dict(
        fetch_rows(
            bind(
                "SELECT (redeemed_at AT TIME ZONE 'UTC')::date, count(*) FROM coupons_redemption"
                " WHERE tenant_id = {tenant} AND redeemed_at >= {start} AND redeemed_at < {end} GROUP BY 1",
                tenant=tenant_id,
                start=start,
                end=end,
            )
        )
    )
