"""How a coupon has been used, day by day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Max
from django.db.models.functions import TruncDate

from coupons.models import Coupon

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
