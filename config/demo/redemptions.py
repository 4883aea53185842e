"""The real redemptions of the campaigns' coupons, on the days that they happened."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from config.demo.calendar import Calendar
from config.demo.discounts import coupon_code, granted
from config.demo.rows import Load
from config.demo.shop import CURRENCY
from config.demo.source import CENT, Purchases, SourceRow, file_name
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from coupons.bodies import PastRedemption
from coupons.money import Amount, Money
from coupons.operations.history import import_redemptions


def load_redemptions(
    load: Load, redemptions: Sequence[SourceRow], purchases: Purchases, calendar: Calendar
) -> None:
    """Record every redemption that is missing; when the calendar has moved, the others move along."""
    bodies = (redemption(row, purchases, calendar) for row in redemptions)
    rows = list(load.progress.counted("redemptions", bodies, len(redemptions)))
    moved = _move(load.tenant_id, rows)
    written = [
        result
        for result in import_redemptions(tenant_id=load.tenant_id, rows=rows)
        if result.created or result.error
    ]
    load.note_outcomes(
        "redemptions",
        written,
        changed=moved,
        unchanged=len(rows) - moved - len(written),
        source_rows=[row.row for row in redemptions],
        file=file_name("coupon_redemptions"),
    )


def redemption(row: SourceRow, purchases: Purchases, calendar: Calendar) -> PastRedemption:
    """Return a redemption at noon of its day; its order is what the household bought on that day."""
    household, campaign, upc = row["household_id"], row["campaign_id"], row["coupon_upc"]
    day = row["redemption_date"].date()
    total = order_total(purchases[household], day)
    return PastRedemption(
        id=f"{campaign}-{upc}-{household}-{day}",
        code=coupon_code(upc, campaign),
        customer_number=str(household),
        order_code=f"{household}-{day}",
        order_total=Money(Amount(total), CURRENCY),
        discount=Money(Amount(granted(upc, total)), CURRENCY),
        redeemed_at=calendar.noon(day),
    )


def order_total(spent: Mapping[date, Decimal], day: date) -> Decimal:
    """Return what was spent on the day; on one without a purchase in the data, what a day's mean is."""
    if day in spent:
        return spent[day]
    return (sum(spent.values(), Decimal(0)) / len(spent)).quantize(CENT, rounding=ROUND_HALF_UP)


def _move(tenant_id: int, rows: Iterable[PastRedemption]) -> int:
    """Move stored redemptions to the instants of these rows; return how many moved."""
    instants = {row.external_id: row.redeemed_at for row in rows}
    moved = fetch_rows(
        sql(
            "UPDATE coupons_redemption AS redemption SET redeemed_at = given.instant"
            " FROM unnest({ids}, {instants}) AS given (id, instant)"
            " WHERE redemption.tenant_id = {tenant} AND redemption.external_id = given.id"
            " AND redemption.redeemed_at <> given.instant RETURNING 1",
            tenant=param(tenant_id),
            ids=param(list(instants), "text[]"),
            instants=param(list(instants.values()), "timestamptz[]"),
        )
    )
    return len(moved)
