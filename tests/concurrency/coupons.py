"""What the races of redemptions, reservations and campaigns have in common."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from django.db.models import Count

from core.errors import DomainError
from coupons.errors import CouponNotRedeemable
from coupons.models import Coupon
from coupons.money import Amount, Money
from coupons.orders import Order

ORDER = Order(Money(Amount(100), "EUR"), Money(Amount(10), "EUR"))


def now() -> datetime:
    return datetime.now(UTC)


def attempt(act: Callable[[], object]) -> str:
    """What came of it: the id of what was made, the reasons of a refusal, or the error's code."""
    try:
        return str(act())
    except CouponNotRedeemable as refused:
        return ",".join(reason.type.value for reason in refused.reasons)
    except DomainError as refused:
        return refused.code


def outcomes(results: Iterable[object]) -> Counter[str]:
    """Count what was made as "done", refusals by their reasons, faults by their text."""
    return Counter("done" if isinstance(result, str) and "-" in result else str(result) for result in results)


def stored_uses() -> tuple[int, int]:
    """The counter of the coupon A and its rows, which must be one number."""
    coupons = Coupon.objects.filter(code="A").annotate(rows=Count("redemptions"))
    [found] = coupons.values_list("redemption_count", "rows")  # one statement, as others may still commit
    return found
