"""What several coupons take off one cart: pure arithmetic in whole minor units of its currency.

Free shipping comes first, then the coupons in the order given. A percentage is one of the original price; an
amount is spread over what is not yet discounted. No line is ever discounted by more than it costs, and what
the lines lose is the discount.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
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

    def room(self, places: Sequence[int]) -> dict[int, int]:
        """Return what is left of each line."""
        return {place: self.prices[place] - self.taken[place] for place in places}

    def has_room(self, coupon: CouponSnapshot, places: Sequence[int]) -> bool:
        """Say whether the coupon could take something off; what costs nothing stands in nobody's way."""
        if coupon.discount_type == DiscountType.FREE_SHIPPING:
            return not self.shipping or self.shipping_taken < self.shipping
        return any(self.room(places).values()) or not any(self.prices[place] for place in places)

    def apply(self, coupon: CouponSnapshot, places: Sequence[int]) -> int:
        """Take off what the coupon grants on the lines that it applies to; return how much that is."""
        if coupon.discount_type == DiscountType.FREE_SHIPPING:
            granted = self.shipping - self.shipping_taken
            self.shipping_taken = self.shipping
            return granted
        shares = self.shares(coupon, places)
        for place, share in shares.items():
            self.taken[place] += share
        return sum(shares.values())

    def shares(self, coupon: CouponSnapshot, places: Sequence[int]) -> Mapping[int, int]:
        """Return what the coupon takes off each line. The coupon's amount is in the cart's currency."""
        room = self.room(places)
        if coupon.discount_type == DiscountType.PERCENT:
            shares = shares_of_price(coupon, self, places)
            return {place: min(share, room[place]) for place, share in shares.items()}
        return spread(min(amount_of(coupon, self.currency), sum(room.values())), room)


def shares_of_price(coupon: CouponSnapshot, cart: Cart, places: Sequence[int]) -> dict[int, int]:
    """Return the coupon's percentage of the original price of each line."""
    assert coupon.discount_percentage is not None
    prices = {place: cart.prices[place] for place in places}
    return spread(half_up(sum(prices.values()) * coupon.discount_percentage / 100), prices)


def amount_of(coupon: CouponSnapshot, currency: str) -> int:
    """Return the coupon's amount, which is in this currency."""
    assert coupon.discount_absolute is not None
    return half_up(in_minor_units(coupon.discount_absolute.amount, currency))


def half_up(units: Decimal) -> int:
    """Return the number of whole units, half a unit being one."""
    return int(units.to_integral_value(ROUND_HALF_UP))


def spread(total: int, weights: Mapping[int, int]) -> dict[int, int]:
    """Return the shares of the total by weight, rounded down; none is more than its weight.

    What is left over goes to the line with most left (the first of equal ones), and what that cannot bear to
    the next. The total is at most the sum of the weights.
    """
    whole = sum(weights.values())
    if total == whole:
        return dict(weights)
    shares = {place: total * weight // whole for place, weight in weights.items()}
    left = total - sum(shares.values())
    if left:
        for place in sorted(weights, key=lambda place: (shares[place] - weights[place], place)):
            more = min(left, weights[place] - shares[place])
            shares[place] += more
            left -= more
            if not left:
                break
    return shares
