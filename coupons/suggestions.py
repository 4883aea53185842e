"""The set of codes that takes most off a cart: exact for eight candidates, and of more for the best eight.

Codes are applied as they always are. The order of the set is free shipping, percentages, which commute, and
then amounts, those for the fewest lines first: they find least room elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from coupons.discounts import Cart, amount_of, shares_of_price, spread
from coupons.eligibility_queries import CouponSnapshot
from coupons.models import DiscountType

EXACT = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A coupon that may be used, and the places of the lines that it applies to."""

    coupon: CouponSnapshot
    places: tuple[int, ...]


@dataclass(slots=True)
class Search:
    """Looks through the sets depth first, and leaves out what cannot be better than the best so far."""

    cart: Cart
    candidates: Sequence[Candidate]
    most: int
    shares: list[dict[int, int]] = field(default_factory=list)
    alone: list[int] = field(default_factory=list)
    best: tuple[int, ...] = ()
    best_total: int = 0

    def __post_init__(self) -> None:
        for one in self.candidates:
            is_share = one.coupon.discount_type == DiscountType.PERCENT
            self.shares.append(shares_of_price(one.coupon, self.cart, one.places) if is_share else {})
            self.alone.append(sum(self.taken_by(len(self.alone), self.cart.room(one.places)).values()))

    def run(self) -> tuple[int, ...]:
        """Return the positions of the best set's candidates, in the order in which they are applied."""
        self.visit(0, (), list(self.cart.prices), 0)
        return self.best

    def visit(self, position: int, chosen: tuple[int, ...], room: list[int], total: int) -> None:
        if (total, -len(chosen)) > (self.best_total, -len(self.best)):
            self.best, self.best_total = chosen, total
        left = self.most - len(chosen)
        hope = sum(sorted(self.alone[position:], reverse=True)[:left])
        if position == len(self.candidates) or total + hope <= self.best_total:
            return
        if self.has_room(position, chosen):
            places = self.candidates[position].places
            taken = self.taken_by(position, {place: room[place] for place in places})
            if any(taken.values()):
                after = room.copy()
                for place, units in taken.items():
                    if place >= 0:
                        after[place] -= units
                self.visit(position + 1, (*chosen, position), after, total + sum(taken.values()))
        self.visit(position + 1, chosen, room, total)

    def has_room(self, position: int, chosen: tuple[int, ...]) -> bool:
        """Say whether the candidate can still take something: shipping is free only once."""
        if self.candidates[position].coupon.discount_type != DiscountType.FREE_SHIPPING:
            return True
        kinds = {self.candidates[other].coupon.discount_type for other in chosen}
        return DiscountType.FREE_SHIPPING not in kinds

    def taken_by(self, position: int, room: dict[int, int]) -> dict[int, int]:
        """Return what the candidate takes off each line with this room; the place -1 is the shipping."""
        coupon = self.candidates[position].coupon
        if coupon.discount_type == DiscountType.FREE_SHIPPING:
            return {-1: self.cart.shipping}
        if coupon.discount_type == DiscountType.PERCENT:
            return {place: min(share, room[place]) for place, share in self.shares[position].items()}
        return spread(min(amount_of(coupon, self.cart.currency), sum(room.values())), room)


def best_set(cart: Cart, candidates: Sequence[Candidate], *, most: int) -> list[Candidate]:
    """Return the candidates that together take most off a fresh cart, in the order to apply them.

    At most `most` are taken, and of equally good sets one with the fewest.
    """
    ordered = sorted(candidates, key=applied_when)
    search = Search(cart, ordered, most)
    if len(ordered) > EXACT:
        by_value = sorted(range(len(ordered)), key=lambda position: -search.alone[position])
        ordered = [ordered[position] for position in sorted(by_value[:EXACT])]
        search = Search(cart, ordered, most)
    return [ordered[position] for position in search.run()]


def applied_when(one: Candidate) -> tuple[int, int]:
    kinds = (DiscountType.FREE_SHIPPING, DiscountType.PERCENT, DiscountType.ABSOLUTE)
    return kinds.index(DiscountType(one.coupon.discount_type)), len(one.places)
