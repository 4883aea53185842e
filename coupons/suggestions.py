"""The codes that take most off a cart, in the order to send them: exact for eight candidates, and of more for
the best eight.

Codes are applied as they always are. All sets are compared in the usual order: free shipping, percentages,
which commute, and then amounts, those for the fewest lines first, which find least room elsewhere. Where
coupons overlap and the lines are nearly used up, another order may take more off; then all orders are
compared, as far as MOST_WORK goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from coupons.discounts import Cart, amount_of, shares_of_price, spread
from coupons.eligibility_queries import CouponSnapshot
from coupons.models import DiscountType

EXACT = 8
MOST_WORK = 60_000
"""How much all orders may cost, in lines that are looked at: some 25 ms."""
WORK_OF_STEP = 25


@dataclass(frozen=True, slots=True)
class Candidate:
    """A coupon that may be used, and the places of the lines that it applies to."""

    coupon: CouponSnapshot
    places: tuple[int, ...]


@dataclass(slots=True)
class Search:
    """Looks through sets and orders depth first; leaves out what cannot be better than the best so far."""

    cart: Cart
    candidates: Sequence[Candidate]
    most: int
    shares: list[dict[int, int]] = field(default_factory=list)
    alone: list[int] = field(default_factory=list)
    best: tuple[int, ...] = ()
    best_total: int = 0
    work: int = 0

    def __post_init__(self) -> None:
        for one in self.candidates:
            is_share = one.coupon.discount_type == DiscountType.PERCENT
            self.shares.append(shares_of_price(one.coupon, self.cart, one.places) if is_share else {})
            self.alone.append(sum(self.taken_by(len(self.alone), self.cart.room(one.places)).values()))

    def run(self) -> tuple[int, ...]:
        """Return the positions of the best candidates, in the order in which they are applied."""
        covered = sorted({place for one in self.candidates for place in one.places})
        room = {place: self.cart.prices[place] for place in covered}
        self.visit_sets(0, (), room, 0)
        self.visit_orders((), room, 0)
        return self.best

    def visit_sets(self, position: int, chosen: tuple[int, ...], room: dict[int, int], total: int) -> None:
        """Try all sets of the candidates from this position on, in their order."""
        self.keep(chosen, total)
        rest = range(position, len(self.candidates))
        if total + self.hope(rest, room, self.most - len(chosen)) <= self.best_total:
            return
        if after := self.room_after(position, chosen, room):
            left, taken = after
            self.visit_sets(position + 1, (*chosen, position), left, total + taken)
        self.visit_sets(position + 1, chosen, room, total)

    def visit_orders(self, chosen: tuple[int, ...], room: dict[int, int], total: int) -> None:
        """Try all candidates that are left as the next one, as long as there is work left."""
        self.keep(chosen, total)
        rest = [position for position in range(len(self.candidates)) if position not in chosen]
        if self.work > MOST_WORK or total + self.hope(rest, room, self.most - len(chosen)) <= self.best_total:
            return
        for position in rest:
            if chosen and position < chosen[-1] and self.commute(position, chosen[-1]):
                continue  # the same as the other way round
            self.work += len(self.candidates[position].places) + WORK_OF_STEP
            if after := self.room_after(position, chosen, room):
                left, taken = after
                self.visit_orders((*chosen, position), left, total + taken)

    def keep(self, chosen: tuple[int, ...], total: int) -> None:
        if (total, -len(chosen)) > (self.best_total, -len(self.best)):
            self.best, self.best_total = chosen, total

    def room_after(
        self, position: int, chosen: tuple[int, ...], room: dict[int, int]
    ) -> tuple[dict[int, int], int] | None:
        """Return what the candidate leaves of the lines and how much it takes; None if it takes nothing."""
        if not self.has_room(position, chosen):
            return None
        taken = self.taken_by(position, {place: room[place] for place in self.candidates[position].places})
        total = sum(taken.values())
        if not total:
            return None
        return room | {place: room[place] - units for place, units in taken.items() if place >= 0}, total

    def hope(self, rest: Sequence[int], room: dict[int, int], count: int) -> int:
        """Return what no `count` of these candidates take more than."""
        most = []
        shipping = 0
        for position in rest:
            one = self.candidates[position]
            if one.coupon.discount_type == DiscountType.FREE_SHIPPING:
                shipping = self.cart.shipping
                most.append(shipping)
            else:
                most.append(min(self.alone[position], sum(map(room.__getitem__, one.places))))
        return min(sum(sorted(most, reverse=True)[:count]), shipping + sum(room.values()))

    def commute(self, one: int, other: int) -> bool:
        """Say whether the two take the same off each line in either order."""
        first, second = self.candidates[one], self.candidates[other]
        if DiscountType.ABSOLUTE not in (first.coupon.discount_type, second.coupon.discount_type):
            return True
        return set(first.places).isdisjoint(second.places)

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
