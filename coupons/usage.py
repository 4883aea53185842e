"""How a coupon has been used, day by day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, Max
from django.db.models.functions import TruncDate

from core.timestamps import local_moment
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
    def last_day(self) -> date | None:
        """The day of the last use, where the reader is."""
        return self.last_at and local_moment(self.last_at).date()

    @property
    def recent(self) -> int:
        """How often it was used in the days shown."""
        return sum(day.count for day in self.days)


def usage_of(coupon: Coupon, *, until: datetime, days: int = DAYS_SHOWN) -> Usage:
    """Return how the coupon has been used, day by day for the last `days` days (UTC, as in reports)."""
    last_day = until.astimezone(UTC).date()
    first_day = last_day - timedelta(days=days - 1)
    counted = dict(
        coupon.redemptions.filter(
            redeemed_at__gte=datetime.combine(first_day, time.min, UTC),
            redeemed_at__lt=datetime.combine(last_day + timedelta(days=1), time.min, UTC),
        )
        .values_list(TruncDate("redeemed_at", tzinfo=UTC))
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
