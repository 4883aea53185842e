"""What several coupons take off one cart: pure arithmetic in whole minor units of its currency.

Free shipping comes first, then the coupons in the order given. A percentage is one of the original price; an
amount is spread over what is not yet discounted. No line is ever discounted by more than it costs, and what
the lines lose is the discount.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from operator import sub
from typing import Self

from coupons.eligibility_queries import CouponSnapshot
from coupons.models import DiscountType
from coupons.money import in_minor_units


@dataclass(slots=True)
class Cart:
    """What lines (by place) and shipping cost, and what has been taken off them."""

    currency: str
    prices: Sequence[int]
    shipping: int
    taken: list[int]
    shipping_taken: int = 0

    @classmethod
    def of(cls, currency: str, prices: Sequence[int], shipping: int) -> Self:
        return cls(currency, prices, shipping, [0] * len(prices))

    def room(self, places: Sequence[int]) -> list[int]:
        """Return what is left of each of these lines."""
        return [self.prices[place] - self.taken[place] for place in places]

    def has_room(self, coupon: CouponSnapshot, places: Sequence[int]) -> bool:
        """Say whether the coupon could take something off. Lines that cost nothing do not prevent it."""
        if coupon.discount_type == DiscountType.FREE_SHIPPING:
            return not self.shipping or self.shipping_taken < self.shipping
        return any(self.room(places)) or not any(self.prices[place] for place in places)

    def apply(self, coupon: CouponSnapshot, places: Sequence[int]) -> int:
        """Take off what the coupon grants on the lines that it applies to; return how much that is."""
        if coupon.discount_type == DiscountType.FREE_SHIPPING:
            granted = self.shipping - self.shipping_taken
            self.shipping_taken = self.shipping
            return granted
        shares = self.shares(coupon, places)
        for place, share in zip(places, shares, strict=True):
            self.taken[place] += share
        return sum(shares)

    def shares(self, coupon: CouponSnapshot, places: Sequence[int]) -> list[int]:
        """Return what the coupon takes off each line. The coupon's amount is in the cart's currency."""
        room = self.room(places)
        if coupon.discount_type == DiscountType.PERCENT:
            return list(map(min, shares_of_price(coupon, self, places), room))
        return spread(min(amount_of(coupon, self.currency), sum(room)), room)


def shares_of_price(coupon: CouponSnapshot, cart: Cart, places: Sequence[int]) -> list[int]:
    """Return the coupon's percentage of the original price of each line."""
    assert coupon.discount_percentage is not None
    prices = [cart.prices[place] for place in places]
    return spread(half_up(sum(prices) * coupon.discount_percentage / 100), prices)


def amount_of(coupon: CouponSnapshot, currency: str) -> int:
    """Return the coupon's amount, which is in this currency."""
    assert coupon.discount_absolute is not None
    return half_up(in_minor_units(coupon.discount_absolute.amount, currency))


def half_up(units: Decimal) -> int:
    """Return the number of whole units, half a unit being one."""
    return int(units.to_integral_value(ROUND_HALF_UP))


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """Return the shares of the total by weight, rounded down; none is more than its weight.

    What is left over goes to the line with most left (the first of equal ones), and what that cannot bear to
    the next. The total is at most the sum of the weights.
    """
    return list(map(sub, weights, left_of(total, weights, sum(weights))))


def left_of(total: int, weights: Sequence[int], whole: int) -> list[int]:
    """Return what is left of each weight when the total is spread; `whole` is the sum of the weights."""
    if total == whole:
        return [0] * len(weights)
    room = [weight - total * weight // whole for weight in weights]
    over = sum(room) - (whole - total)
    if over:
        first = max(room)
        if first >= over:  # as nearly always
            room[room.index(first)] -= over
            return room
        for place in sorted(range(len(room)), key=room.__getitem__, reverse=True):  # equal ones as they are
            more = min(over, room[place])
            room[place] -= more
            over -= more
            if not over:
                break
    return room
