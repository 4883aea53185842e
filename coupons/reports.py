"""What was issued, redeemed and given as a discount, by day, campaign and segment.

Counted as coupons/report_counts.py says, so that a report reads no redemption but those of a moment, by their
changes, and is exact at every instant. Days are those of UTC.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from core.errors import InvalidInput
from core.sql.composition import Sql, bind, integer, param, sql
from core.sql.fetching import fetch_rows
from coupons.models import JudgementCount, ReportCount
from coupons.report_counts import COUNTED

MOST_DAYS = 366
LONGEST_REPORT = 50_000
MOST_ROWS = 10 * LONGEST_REPORT  # a line is made of several, one for each outcome


class Grouping(StrEnum):
    """What a report tells apart besides days."""

    NONE = ""
    CAMPAIGN = "campaign"
    SEGMENT = "segment"


@dataclass(slots=True)
class ReportLine:
    """A day, of a campaign or segment (its wire id), and a currency, which is empty for what has none.

    `outcomes` is how often coupons were found valid or refused, by outcome (see JudgementCount).
    """

    day: date
    group: str
    currency: str
    issued: int = 0
    redeemed: int = 0
    discount: Decimal = Decimal(0)
    outcomes: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, count: int, amount: Decimal) -> None:
        if kind == ReportCount.Kind.ISSUED:
            self.issued = count
        elif kind == ReportCount.Kind.REDEEMED:
            self.redeemed, self.discount = count, amount
        else:
            self.outcomes[kind] = count


@dataclass(slots=True)
class ReportTotal:
    """The sums of a report's lines; discounts by currency, refusals by reason."""

    issued: int = 0
    redeemed: int = 0
    validated: int = 0
    refused: int = 0
    discounts: dict[str, Decimal] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)

    def add(self, line: ReportLine) -> None:
        self.issued += line.issued
        self.redeemed += line.redeemed
        if line.currency:
            self.discounts[line.currency] = self.discounts.get(line.currency, Decimal(0)) + line.discount
        valid, refused, reasons = judged(line.outcomes)
        self.validated += valid
        self.refused += refused
        self.refusals.update(reasons)


def judged(outcomes: Mapping[str, int]) -> tuple[int, int, dict[str, int]]:
    """Return how often coupons were found valid and refused, and refused for which reasons."""
    reasons = dict(outcomes)
    return reasons.pop(JudgementCount.VALID, 0), reasons.pop(JudgementCount.REFUSED, 0), reasons


GROUPS = {
    Grouping.NONE: (
        "''::text",
        "",
        "counted.tenant_id = {tenant} AND counted.coupon_id = 0 AND counted.segment = ''",
    ),
    Grouping.CAMPAIGN: (
        "campaign.external_id",
        " JOIN coupons_couponcampaign AS campaign ON campaign.tenant_id = counted.tenant_id"
        " AND campaign.terms_id = counted.coupon_id",
        # looked up one by one: joined only, those of all other coupons are read as well
        "counted.tenant_id = {tenant} AND counted.segment = '' AND counted.coupon_id = ANY(ARRAY("
        "SELECT terms_id FROM coupons_couponcampaign WHERE tenant_id = {tenant}))",
    ),
    Grouping.SEGMENT: (
        "counted.segment",
        "",
        "counted.tenant_id = {tenant} AND counted.coupon_id = 0 AND counted.segment > ''",
    ),
}
"""What names a group, what the counts are joined with, and the condition that they are those of groups."""


# PostgreSQL puts the text of a line together: a year by segment is 36,500 lines of 109,500 rows, and to make
# objects of them in Python takes ten times as long as all the rest.
DOCUMENT = """concat('{{"day":"', line.day, '"', ',"id":' || to_json(nullif(line.name, '')),
    ',"issued":', coalesce(sum(line.count) FILTER (WHERE line.kind = 'issued'), 0),
    ',"redeemed":', coalesce(sum(line.count) FILTER (WHERE line.kind = 'redeemed'), 0),
    CASE WHEN bool_or(line.kind NOT IN ('issued', 'redeemed')) THEN concat(
        ',"validated":', coalesce(sum(line.count) FILTER (WHERE line.kind = 'valid'), 0),
        ',"refused":', coalesce(sum(line.count) FILTER (WHERE line.kind = 'refused'), 0),
        ',"refusals":{{', string_agg(concat(to_json(line.kind), ':', line.count), ',')
            FILTER (WHERE line.kind NOT IN ('issued', 'redeemed', 'valid', 'refused')), '}}') END,
    CASE WHEN line.currency <> '' THEN concat(',"discount":{{"amount":',
        trim_scale(coalesce(sum(line.amount) FILTER (WHERE line.kind = 'redeemed'), 0)),
        ',"currency":', to_json(line.currency), '}}') END, '}}')"""
TOO_LONG = InvalidInput("The report has more than 50,000 lines. Ask for fewer days.", field="from")


def report_documents(*, tenant_id: int, first: date, last: date, by: Grouping, only: str = "") -> list[str]:
    """Return the JSON of the lines of `report`, in the same order; raises as it does."""
    refuse_days(first, last)
    rows = fetch_rows(
        sql(
            "SELECT {document} FROM ({summed}) AS line GROUP BY line.name, line.day, line.currency"
            ' ORDER BY line.day, line.name COLLATE "C", line.currency LIMIT {most}',
            document=sql(DOCUMENT),
            summed=summing(tenant_id, first, last, by, only=only),
            most=integer(LONGEST_REPORT + 1),
        )
    )
    if len(rows) > LONGEST_REPORT:
        raise TOO_LONG
    return [document for (document,) in rows]


def report(*, tenant_id: int, first: date, last: date, by: Grouping, only: str = "") -> list[ReportLine]:
    """Return the lines of the days from `first` to `last`, both included, in one statement.

    A coupon of several segments counts for each of them. By campaign, only codes of campaigns count. `only`
    is the id of the one campaign or segment that is reported on. Raises InvalidInput when the days are in
    the wrong order, more than a year, or the lines more than 50,000.
    """
    refuse_days(first, last)
    rows = fetch_rows(summing(tenant_id, first, last, by, only=only))
    lines: dict[tuple[date, str, str], ReportLine] = {}
    for day, name, currency, kind, count, amount in rows:
        key = (day, name, currency)
        if (line := lines.get(key)) is None:
            line = lines[key] = ReportLine(*key)
        line.add(kind, count, amount)
    if len(lines) > LONGEST_REPORT or len(rows) == MOST_ROWS:
        raise TOO_LONG
    return [lines[key] for key in sorted(lines)]


def refuse_days(first: date, last: date) -> None:
    """Raise InvalidInput when the days are in the wrong order, or more than a year."""
    if not timedelta(0) <= last - first < timedelta(MOST_DAYS):
        raise InvalidInput(
            f"A report covers 1 to {MOST_DAYS} days: until must not be before from.", field="until"
        )


def totals(*, tenant_id: int, first: date, last: date, by: Grouping) -> dict[str, ReportTotal]:
    """Return the sums of all the days by campaign or segment (its wire id), in one statement."""
    found: dict[str, ReportTotal] = {}
    for day, name, currency, kind, count, amount in fetch_rows(
        summing(tenant_id, first, last, by, in_all=True)
    ):
        line = ReportLine(day, name, currency)
        line.add(kind, count, amount)
        found.setdefault(name, ReportTotal()).add(line)
    return found


def summing(
    tenant_id: int, first: date, last: date, by: Grouping, *, only: str = "", in_all: bool = False
) -> Sql:
    """A SELECT of day, name, currency, kind, count and amount; `in_all` of all the days together."""
    name, join, condition = GROUPS[by]
    group = Sql(name)
    return sql(
        "SELECT {day} AS day, {group} AS name, counted.currency, counted.kind,"
        " sum(counted.count)::bigint AS count, sum(counted.amount) AS amount"
        " FROM {counted} AS counted{join} WHERE {condition} AND {days}{narrowed}"
        " GROUP BY 2, 1, 3, 4 HAVING sum(counted.count) <> 0 OR sum(counted.amount) <> 0"
        # in the order of the index: sorting all texts takes longer than all the rest
        " ORDER BY 2, 1, 3, 4 LIMIT {most}",
        counted=Sql(COUNTED),
        day=param(last, "date") if in_all else Sql("counted.day"),
        group=group,
        join=Sql(join),
        condition=bind(condition, tenant=tenant_id),
        days=bind("counted.day BETWEEN {first} AND {last}", first=first, last=last),
        narrowed=sql(" AND {group} = {only}", group=group, only=param(only)) if only and by else Sql(""),
        most=integer(MOST_ROWS),
    )


def redemptions_by_day(tenant_id: int, *, first: date, last: date) -> dict[date, int]:
    """Return how often coupons were redeemed on each day that saw a redemption, in one statement."""
    return dict(
        fetch_rows(
            sql(
                "SELECT day, sum(count)::bigint FROM {counted} AS counted WHERE tenant_id = {tenant}"
                " AND coupon_id = 0 AND segment = '' AND kind = 'redeemed' AND day BETWEEN {first} AND {last}"
                " GROUP BY day HAVING sum(count) <> 0",
                counted=Sql(COUNTED),
                tenant=param(tenant_id),
                first=param(first, "date"),
                last=param(last, "date"),
            )
        )
    )
