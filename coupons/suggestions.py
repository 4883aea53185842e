"""The codes that take most off a cart, in the order to send them: exact for eight candidates, and of more for
the best eight.

Codes are applied as they always are. First all sets are compared in the usual order: free shipping,
percentages, and then amounts, those for the fewest lines first, which find least room elsewhere. Where
coupons overlap and use their lines up, another order may take more off: then orders are tried of those sets
that could still be better. No order of a set takes more off than a maximum flow from its coupons to the
lines; the usual order reaches that wherever of two amounts one is for all lines of the other or for none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from coupons.discounts import Cart, amount_of, shares_of_price, spread
from coupons.eligibility_queries import CouponSnapshot
from coupons.models import DiscountType

EXACT = 8
MOST_WORK = 750_000
"""How much is looked at before the best so far has to do, in lines: some 30 ms."""
WORK_OF_STEP = 60


@dataclass(frozen=True, slots=True)
class Candidate:
    """A coupon that may be used, and the places of the lines that it applies to."""

    coupon: CouponSnapshot
    places: tuple[int, ...]

    def is_of(self, kind: DiscountType) -> bool:
        return self.coupon.discount_type == kind


@dataclass(slots=True)
class Search:
    """Looks through sets and orders depth first; leaves out what cannot be better than the best so far.

    Sets are numbers, whose bits are the positions of candidates.
    """

    cart: Cart
    candidates: Sequence[Candidate]
    most: int
    shares: list[Sequence[int]] = field(default_factory=list)
    by_itself: list[int] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)
    seen: set[tuple[int, ...]] = field(default_factory=set)
    best: tuple[int, ...] = ()
    best_total: int = 0
    work: int = 0

    def __post_init__(self) -> None:
        for one in self.candidates:
            is_share = one.is_of(DiscountType.PERCENT)
            self.shares.append(shares_of_price(one.coupon, self.cart, one.places) if is_share else ())
            self.by_itself.append(self.apply(len(self.by_itself), self.cart.prices)[1])

    @property
    def is_exact(self) -> bool:
        """Say whether the search came to its end."""
        return self.work <= MOST_WORK

    def run(self) -> tuple[int, ...]:
        """Return the positions of the best candidates, in the order in which they are applied."""
        self.bounds = self.bounds_of_sets()
        self.visit((), 0, self.cart.prices, 0, in_all_orders=False)
        self.visit((), 0, self.cart.prices, 0, in_all_orders=True)
        return self.best

    def visit(
        self, order: tuple[int, ...], used: int, room: Sequence[int], total: int, *, in_all_orders: bool
    ) -> None:
        """Try the candidates that are left as the next one; in one order of each set only those behind."""
        if (total, -len(order)) > (self.best_total, -len(self.best)):
            self.best, self.best_total = order, total
        begin = 0 if in_all_orders or not order else order[-1] + 1
        rest = [one for one in range(begin, len(self.candidates)) if not used >> one & 1]
        if not self.could_be_better(rest, used, room, total, self.most - len(order)):
            return
        if in_all_orders:
            if (used, *room) in self.seen:
                return
            self.seen.add((used, *room))
        for position in rest:
            if order and position < order[-1] and self.commute(position, order[-1]):
                continue  # the same as the other way round
            left, taken = self.apply(position, room)
            if taken:
                self.visit(
                    (*order, position),
                    used | 1 << position,
                    left,
                    total + taken,
                    in_all_orders=in_all_orders,
                )

    def could_be_better(
        self, rest: Sequence[int], used: int, room: Sequence[int], total: int, count: int
    ) -> bool:
        """Say whether `count` of the rest may lead to more than the best so far, and there is work left."""
        if not count or self.bounds[used] <= self.best_total:
            return False
        most, shipping = [], 0
        for position in rest:
            one = self.candidates[position]
            if one.is_of(DiscountType.FREE_SHIPPING):
                shipping = self.cart.shipping
                most.append(shipping)
            else:
                most.append(min(self.by_itself[position], sum([room[place] for place in one.places])))
                self.work += WORK_OF_STEP + 3 * len(one.places)
        hope = min(sum(sorted(most, reverse=True)[:count]), shipping + sum(room))
        return total + hope > self.best_total and self.is_exact

    def commute(self, one: int, other: int) -> bool:
        """Say whether the two take the same off each line in either order."""
        first, second = self.candidates[one], self.candidates[other]
        if not (first.is_of(DiscountType.ABSOLUTE) or second.is_of(DiscountType.ABSOLUTE)):
            return True
        return set(first.places).isdisjoint(second.places)

    def apply(self, position: int, room: Sequence[int]) -> tuple[Sequence[int], int]:
        """Return what the candidate leaves of the lines, and how much it takes."""
        one = self.candidates[position]
        if one.is_of(DiscountType.FREE_SHIPPING):
            return room, self.cart.shipping
        weights = [room[place] for place in one.places]
        if one.is_of(DiscountType.PERCENT):
            shares = list(map(min, self.shares[position], weights))
        else:
            shares = spread(min(amount_of(one.coupon, self.cart.currency), sum(weights)), weights)
        left = list(room)
        for place, share in zip(one.places, shares, strict=True):
            left[place] -= share
        return left, sum(shares)

    def bounds_of_sets(self) -> list[int]:
        """Return for each set what no order of it takes more than, or of a larger set that the cart takes."""
        found = [0] * (1 << len(self.candidates))
        for used, bound in self.flows():
            if used.bit_count() <= self.most:
                found[used] = bound
        for bit in range(len(self.candidates)):
            for used in range(len(found)):
                if not used >> bit & 1:
                    found[used] = max(found[used], found[used | 1 << bit])
        return found

    def flows(self) -> Iterator[tuple[int, int]]:
        """Return the maximum flow of each set from its coupons to shipping and lines.

        Percentages take what they can of each line. What amounts take is then a minimum cut: the amounts on
        one side of it, and what is left of all lines of those on the other.
        """
        shipping, percentages, amounts = (
            [position for position, one in enumerate(self.candidates) if one.is_of(kind)]
            for kind in (DiscountType.FREE_SHIPPING, DiscountType.PERCENT, DiscountType.ABSOLUTE)
        )
        kinds = [0] * len(self.cart.prices)
        for bit, position in enumerate(amounts):
            for place in self.candidates[position].places:
                kinds[place] |= 1 << bit
        sets = [0]
        for position in amounts:
            sets += [used | 1 << position for used in sets]
        rooms: list[tuple[int, Sequence[int]]] = [(0, self.cart.prices)]
        for position in percentages:
            rooms += [(used | 1 << position, self.apply(position, room)[0]) for used, room in rooms]
        for used, room in rooms:
            taken = sum(self.cart.prices) - sum(room)
            for key, flow in enumerate(self.flows_of_amounts(amounts, kinds, room)):
                yield used | sets[key], taken + flow
                for free in shipping:
                    yield used | sets[key] | 1 << free, taken + flow + self.cart.shipping

    def flows_of_amounts(
        self, amounts: Sequence[int], kinds: Sequence[int], room: Sequence[int]
    ) -> list[int]:
        """Return the maximum flow of each set of the amounts; `kinds` says which of them a line is for."""
        size = 1 << len(amounts)
        within = [0] * size
        for kind, units in zip(kinds, room, strict=True):
            within[kind] += units
        sums = [0]
        for position in amounts:
            sums += [units + self.by_itself[position] for units in sums]
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


def best_set(cart: Cart, candidates: Sequence[Candidate], *, most: int) -> list[Candidate]:
    """Return the candidates that together take most off a fresh cart, in the order to apply them.

    At most `most` are taken, and of equally good sets one with the fewest.
    """
    ordered = sorted(candidates, key=applied_when)
    free = [one for one in ordered if one.is_of(DiscountType.FREE_SHIPPING)]
    ordered = [*free[:1], *ordered[len(free) :]]  # shipping is free only once
    search = Search(cart, ordered, most)
    if len(ordered) > EXACT:
        by_value = sorted(range(len(ordered)), key=lambda position: -search.by_itself[position])
        ordered = [ordered[position] for position in sorted(by_value[:EXACT])]
        search = Search(cart, ordered, most)
    return [ordered[position] for position in search.run()]


def applied_when(one: Candidate) -> tuple[int, int]:
    kinds = (DiscountType.FREE_SHIPPING, DiscountType.PERCENT, DiscountType.ABSOLUTE)
    return kinds.index(DiscountType(one.coupon.discount_type)), len(one.places)
