"""How a coupon stands: its state, how it has been used, and what keeps it from working. For people."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Max, Q
from django.db.models.functions import TruncDate

from core.windows import window_contains
from coupons.models import Coupon
from segments.models import Segment

DAYS_SHOWN = 30


@dataclass(frozen=True, slots=True)
class DayOfUse:
    """How often a coupon was redeemed on a day (UTC), and how that compares with the busiest day shown."""

    day: date
    count: int
    share: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How a coupon has been used so far. `days` ends with the last day asked for, without gaps."""

    count: int
    limit: int | None
    last_at: datetime | None
    days: tuple[DayOfUse, ...]

    @property
    def recent(self) -> int:
        """How often it was used in the days shown."""
        return sum(day.count for day in self.days)


def status_of(coupon: Coupon, at: datetime) -> str:
    """Return the coupon's status as the wire has it: INACTIVE, EXPIRED, USED or VALID."""
    if coupon.valid_from and at < coupon.valid_from:
        return "INACTIVE"
    if coupon.valid_to and at > coupon.valid_to:
        return "EXPIRED"
    if coupon.max_redemptions is not None and coupon.redemption_count >= coupon.max_redemptions:
        return "USED"
    return "VALID"


def usage_of(coupon: Coupon, *, until: datetime, days: int = DAYS_SHOWN) -> Usage:
    """Return how the coupon has been used, day by day for the last `days` days."""
    last_day = until.date()
    first_day = last_day - timedelta(days=days - 1)
    counted = dict(
        coupon.redemptions.filter(redeemed_at__date__gte=first_day, redeemed_at__date__lte=last_day)
        .values_list(TruncDate("redeemed_at"))
        .annotate(count=Count("pk"))
        .order_by()
    )
    busiest = max(counted.values(), default=0)
    return Usage(
        count=coupon.redemption_count,
        limit=coupon.max_redemptions,
        last_at=coupon.redemptions.aggregate(last=Max("redeemed_at"))["last"],
        days=tuple(
            DayOfUse(day, counted.get(day, 0), counted.get(day, 0) * 100 // busiest if busiest else 0)
            for day in (first_day + timedelta(days=offset) for offset in range(days))
        ),
    )


def warnings_about(coupon: Coupon, *, at: datetime) -> Iterator[str]:
    """Yield each reason why nobody can redeem the coupon, whoever they are and whatever they buy."""
    if coupon.is_deleted:
        yield "The coupon is deleted."
        return
    if coupon.valid_to and at > coupon.valid_to:
        yield "Its window is over."
    if coupon.max_redemptions == 0:
        yield "It allows no use at all."
    elif coupon.max_redemptions is not None and coupon.redemption_count >= coupon.max_redemptions:
        yield "All its uses are spent."
    if coupon.max_redemptions_per_customer == 0:
        yield "It allows no customer any use."
    if coupon.is_segment_restricted:
        yield from segment_warnings(coupon, at)
    if coupon.is_category_restricted:
        categories = coupon.category_restrictions
        included = categories.filter(is_excluded=False)
        if included.exists() and not included.filter(category__isnull=False).exists():
            yield "All categories that it is for have been deleted, so it applies to no item."


def segment_warnings(coupon: Coupon, at: datetime) -> Iterator[str]:
    """Yield what keeps the coupon's segments from letting anybody redeem it."""
    segments = Segment.objects.filter(coupon_restrictions__coupon=coupon)
    if not segments.exists():
        yield "All segments that it is for have been deleted."
        return
    not_over = segments.filter(Q(valid_to__isnull=True) | Q(valid_to__gte=at), status="ACTIVE")
    if not not_over.exists():
        yield "None of its segments is live: they are inactive, or their windows are over."
        return
    effective = not_over.filter(window_contains(at))
    if not effective.exists():
        yield "None of its segments is live yet."
    elif not effective.filter(customer_assignments__isnull=False).exists():
        yield "None of its live segments has a member."
