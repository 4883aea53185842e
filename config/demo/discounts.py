"""The campaigns' coupons: one for each product code of a coupon and each campaign that it was sent in."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

from config.demo.calendar import Calendar
from config.demo.campaigns import segment_id
from config.demo.rows import Load
from config.demo.shop import CURRENCY
from config.demo.source import CENT, SourceRow, file_name
from coupons.bodies import CouponBody, Restrictions
from coupons.imports.coupons import changed_coupons
from coupons.money import Amount, Money, Percentage
from coupons.operations.bulk import upsert_coupons

PERCENTAGES = (5, 10, 15, 20, 25)
AMOUNTS = ("0.50", "0.75", "1.00", "1.50", "2.00")
OWN_COUPON = CouponBody(
    code="FREESHIP",
    name="Free shipping from $30",
    discount_type="FREE_SHIPPING",
    allows_anonymous=True,
    is_listed=True,
    restrictions=Restrictions(min_order_value=Money(Amount("30"), CURRENCY)),
)
REDEMPTIONS_OF_EACH = 2  # no household redeemed a coupon more often


def coupon_code(upc: int, campaign: int) -> str:
    """Return the code of a coupon: C18-10000085479."""
    return f"C{campaign:02}-{upc}"


def discount_of(upc: int) -> tuple[int | None, str | None]:
    """Return the percentage of an even UPC, or the amount of an odd one; the other is None."""
    step = upc // 2 % len(PERCENTAGES)
    return (None, AMOUNTS[step]) if upc % 2 else (PERCENTAGES[step], None)


def granted(upc: int, total: Decimal) -> Decimal:
    """Return what the coupon takes off an order of this total."""
    percentage, amount = discount_of(upc)
    if amount is not None:
        return min(Decimal(amount), total)
    return (total * Decimal(percentage or 0) / 100).quantize(CENT, rounding=ROUND_HALF_UP)


def coupon_body(upc: int, campaign: int, *, campaign_row: SourceRow, calendar: Calendar) -> CouponBody:
    """Return a campaign's coupon: for an even UPC it grants a percentage, for an odd one an amount."""
    percentage, amount = discount_of(upc)
    if amount is None:
        english, german = f"{percentage}% off", f"{percentage} % Rabatt"
    else:
        english, german = f"${amount} off", f"{amount.replace('.', ',')} $ Rabatt"
    names = {"en": f"{english} in campaign {campaign}", "de": f"{german} in Kampagne {campaign}"}
    return CouponBody(
        code=coupon_code(upc, campaign),
        name=names["en"],
        discount_type="ABSOLUTE" if percentage is None else "PERCENT",
        discount_percentage=None if percentage is None else Percentage(percentage),
        discount_absolute=None if amount is None else Money(Amount(amount), CURRENCY),
        max_redemptions_per_customer=REDEMPTIONS_OF_EACH,
        is_segment_restricted=True,
        is_listed=True,  # they came to the households by mail
        restrictions=Restrictions(
            segments=[segment_id(campaign)],
            valid_from=calendar.starts(campaign_row["start_date"]),
            valid_to=calendar.ends(campaign_row["end_date"]),
        ),
        mixins={"completeJourney": {"couponUpc": str(upc), "campaignId": campaign, "name": names}},
    )


def coupon_rows(
    coupons: Iterable[SourceRow], campaigns: Mapping[int, SourceRow], calendar: Calendar
) -> dict[str, CouponBody]:
    """Return the coupons by code, in the order of their codes."""
    pairs = sorted({(row["campaign_id"], row["coupon_upc"]) for row in coupons})
    rows = (
        coupon_body(upc, campaign, campaign_row=campaigns[campaign], calendar=calendar)
        for campaign, upc in pairs
    )
    return {row.code: row for row in rows}


def load_coupons(
    load: Load, coupons: Sequence[SourceRow], campaigns: Mapping[int, SourceRow], calendar: Calendar
) -> None:
    """Write the coupons that are new or differ."""
    first_rows: dict[str, int] = {}
    for row in coupons:
        first_rows.setdefault(coupon_code(row["coupon_upc"], row["campaign_id"]), row.row)
    rows = list(coupon_rows(coupons, campaigns, calendar).values())
    merge_coupons(load, "coupons", rows, source_rows=first_rows, file=file_name("coupons"))


def load_own_coupon(load: Load) -> None:
    """Make the coupon that is in no file: one for everybody, for orders that are large enough."""
    merge_coupons(load, "coupon of the shop", [OWN_COUPON], source_rows={OWN_COUPON.code: 1}, file="")


def merge_coupons(
    load: Load, label: str, rows: Sequence[CouponBody], *, source_rows: Mapping[str, int], file: str
) -> None:
    changed = changed_coupons(tenant_id=load.tenant_id, rows=rows)
    load.note_outcomes(
        label,
        upsert_coupons(tenant_id=load.tenant_id, rows=changed, at=load.at) if changed else (),
        unchanged=len(rows) - len(changed),
        source_rows=[source_rows[row.code] for row in changed],
        file=file,
    )
