"""The codes that take most off a cart, in the order to send them: exact for eight candidates, and of more for
the best eight.

Codes are applied as they always are. Which of two amounts goes first matters where they are for the same
lines and use them up, so orders are searched as well as sets. What is left of the lines bounds what the
other coupons can still take: no order of them takes more than a maximum flow from them to the lines. The
search follows the next coupon with the highest bound and leaves out all that cannot be better; it always
comes to its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from coupons.discounts import Cart, amount_of, shares_of_price, spread
from coupons.eligibility_queries import CouponSnapshot
from coupons.models import DiscountType

EXACT = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A coupon that may be used, and the places of the lines that it applies to."""

    coupon: CouponSnapshot
    places: tuple[int, ...]

    def is_of(self, kind: DiscountType) -> bool:
        return self.coupon.discount_type == kind


@dataclass(frozen=True, slots=True)
class Step:
    """A coupon that may be applied next: what it takes and leaves, and what any others may take after it.

    `bounds` says by number how much so many further coupons take at most.
    """

    position: int
    total: int
    room: Sequence[int]
    bounds: Sequence[int]


@dataclass(slots=True)
class Search:
    """Looks through orders depth first; leaves out what cannot be better than the best so far.

    Sets are numbers, whose bits are the positions of candidates.
    """

    cart: Cart
    candidates: Sequence[Candidate]
    most: int
    shares: list[Sequence[int]] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)
    kinds: dict[tuple[int, ...], Sequence[int]] = field(default_factory=dict)
    best: tuple[int, ...] = ()
    best_total: int = 0

    def __post_init__(self) -> None:
        for one in self.candidates:
            is_share, is_amount = one.is_of(DiscountType.PERCENT), one.is_of(DiscountType.ABSOLUTE)
            self.shares.append(shares_of_price(one.coupon, self.cart, one.places) if is_share else ())
            self.amounts.append(amount_of(one.coupon, self.cart.currency) if is_amount else 0)

    def run(self) -> tuple[int, ...]:
        """Return the positions of the best candidates, in the order in which they are applied."""
        self.visit((), 0, self.cart.prices, 0)
        return self.best

    def visit(self, order: tuple[int, ...], used: int, room: Sequence[int], total: int) -> None:
        """Try the candidates that are left as the next one, the most promising first."""
        self.note(order, total)
        if len(order) + 1 >= self.most:
            for position in self.rest(used) if len(order) < self.most else ():
                self.note((*order, position), total + self.takes(position, room))
            return
        steps = sorted(self.steps(order, used, room, total), key=lambda step: -step.total - step.bounds[-1])
        for step in steps:
            if self.could_be_better(len(order) + 1, step.total, step.bounds):
                self.visit((*order, step.position), used | 1 << step.position, step.room, step.total)

    def note(self, order: tuple[int, ...], total: int) -> None:
        """Keep what is better than the best so far: it takes more off, or as much with fewer coupons."""
        if (total, -len(order)) > (self.best_total, -len(self.best)):
            self.best, self.best_total = order, total

    def steps(self, order: tuple[int, ...], used: int, room: Sequence[int], total: int) -> Iterator[Step]:
        """Return each way to go on that could be better than the best so far."""
        count = self.most - len(order) - 1
        for position in self.rest(used):
            if order and position < order[-1] and self.commute(position, order[-1]):
                continue  # the same as the other way round
            left, taken = self.apply(position, room)
            if taken:
                bounds = self.bounds(used | 1 << position, left, count)
                if self.could_be_better(len(order) + 1, total + taken, bounds):
                    yield Step(position, total + taken, left, bounds)

    def could_be_better(self, length: int, total: int, bounds: Sequence[int]) -> bool:
        """Say whether more coupons may lead to more than the best so far, or fewer than its to as much."""
        if total + bounds[-1] > self.best_total:
            return True
        fewer = len(self.best) - 1 - length
        return fewer >= 0 and total + bounds[min(fewer, len(bounds) - 1)] == self.best_total

    def rest(self, used: int, *kinds: DiscountType) -> list[int]:
        """Return the positions that the set leaves, of these kinds of coupons if any are named."""
        return [
            position
            for position, one in enumerate(self.candidates)
            if not used >> position & 1 and (not kinds or one.coupon.discount_type in kinds)
        ]

    def commute(self, one: int, other: int) -> bool:
        """Say whether the two take the same off each line in either order."""
        first, second = self.candidates[one], self.candidates[other]
        if not (first.is_of(DiscountType.ABSOLUTE) or second.is_of(DiscountType.ABSOLUTE)):
            return True
        return set(first.places).isdisjoint(second.places)

    def takes(self, position: int, room: Sequence[int]) -> int:
        """Return how much the candidate takes of what is left of the lines."""
        one = self.candidates[position]
        if one.is_of(DiscountType.FREE_SHIPPING):
            return self.cart.shipping
        weights = [room[place] for place in one.places]
        if one.is_of(DiscountType.PERCENT):
            return sum(map(min, self.shares[position], weights))
        return min(self.amounts[position], sum(weights))

    def apply(self, position: int, room: Sequence[int]) -> tuple[Sequence[int], int]:
        """Return what the candidate leaves of the lines, and how much it takes."""
        one = self.candidates[position]
        if one.is_of(DiscountType.FREE_SHIPPING):
            return room, self.cart.shipping
        weights = [room[place] for place in one.places]
        if one.is_of(DiscountType.PERCENT):
            shares = list(map(min, self.shares[position], weights))
        else:
            shares = spread(min(self.amounts[position], sum(weights)), weights)
        left = list(room)
        for place, share in zip(one.places, shares, strict=True):
            left[place] -= share
        return left, sum(shares)

    def bounds(self, used: int, room: Sequence[int], count: int) -> list[int]:
        """Return by number, up to `count`, how much so many of the other coupons take at most: of all sets
        of that size the largest of the maximum flows to shipping and lines.

        Percentages take what they can of each line. What amounts take is then a minimum cut.
        """
        found = [0] * (count + 1)
        if count == 1:
            return [0, max([self.takes(position, room) for position in self.rest(used)])]
        rooms = [(0, room)]
        for position in self.rest(used, DiscountType.PERCENT):
            rooms += [(size + 1, self.apply(position, left)[0]) for size, left in rooms if size < count]
        amounts = self.rest(used, DiscountType.ABSOLUTE)
        whole = sum(room)
        for size, left in rooms:
            taken = whole - sum(left)
            for key, flow in enumerate(self.flows_of_amounts(amounts, left)):
                number = size + key.bit_count()
                if number <= count and taken + flow > found[number]:
                    found[number] = taken + flow
        if self.rest(used, DiscountType.FREE_SHIPPING):
            found[1:] = [max(more, less + self.cart.shipping) for less, more in pairwise(found)]
        return list(accumulate(found, max))

    def flows_of_amounts(self, amounts: Sequence[int], room: Sequence[int]) -> list[int]:
        """Return the maximum flow of each set of the amounts to the lines.

        It is a minimum cut: the amounts on one side of it, and what is left of all lines of those on the
        other.
        """
        size = 1 << len(amounts)
        within = [0] * size
        for kind, units in zip(self.kinds_of_lines(amounts), room, strict=True):
            within[kind] += units
        sums = [0]
        for position in amounts:
            sums += [units + self.amounts[position] for units in sums]
        for bit in range(len(amounts)):
            for key in range(size):
                if key >> bit & 1:
                    within[key] += within[key ^ 1 << bit]  # what is left of lines for no others than these
        cuts = [within[-1] - within[~key] - sums[key] for key in range(size)]
        for bit in range(len(amounts)):
            for key in range(size):
                if key >> bit & 1:
                    cuts[key] = min(cuts[key], cuts[key ^ 1 << bit])
        return [units + cut for units, cut in zip(sums, cuts, strict=True)]

    def kinds_of_lines(self, amounts: Sequence[int]) -> Sequence[int]:
        """Return for each line which of the amounts it is for."""
        key = tuple(amounts)
        if key not in self.kinds:
            kinds = [0] * len(self.cart.prices)
            for bit, position in enumerate(amounts):
                for place in self.candidates[position].places:
                    kinds[place] |= 1 << bit
            self.kinds[key] = kinds
        return self.kinds[key]


def best_set(cart: Cart, candidates: Sequence[Candidate], *, most: int) -> list[Candidate]:
    """Return the candidates that together take most off a fresh cart, in the order to apply them.

    At most `most` are taken, and of equally good sets one with the fewest.
    """
    ordered = sorted(candidates, key=applied_when)
    free = [one for one in ordered if one.is_of(DiscountType.FREE_SHIPPING)]
    ordered = [*free[:1], *ordered[len(free) :]]  # shipping is free only once
    if len(ordered) > EXACT:
        search = Search(cart, ordered, most)
        by_value = sorted(range(len(ordered)), key=lambda position: -search.takes(position, cart.prices))
        ordered = [ordered[position] for position in sorted(by_value[:EXACT])]
    return [ordered[position] for position in Search(cart, ordered, min(most, len(ordered))).run()]


def applied_when(one: Candidate) -> tuple[int, int]:
    kinds = (DiscountType.FREE_SHIPPING, DiscountType.PERCENT, DiscountType.ABSOLUTE)
    return kinds.index(DiscountType(one.coupon.discount_type)), len(one.places)
