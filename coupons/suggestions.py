"""The codes that take most off a cart, in the order to send them.

Codes are applied as they always are. Which of two amounts goes first matters where they are for the same
lines and use them up, so orders are searched as well as sets. What is left of the lines bounds what the
other coupons can still take: no order of them takes more than a maximum flow from them to the lines. The
search follows the next coupon with the highest bound and leaves out all that cannot be better, so that it
need not look at most orders.

Many amounts that overlap and use up the cart can differ in every order by what is rounded, and no bound rules
those out. So the search ends after a fixed number of steps, which are counted, so that the same cart always
has the same suggestion. Then each set of the candidates is compared in the order that is best when its
coupons are added one after the other. Of more than eight candidates, only some sets are compared, and all
orders of the eight that take most by themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from operator import add, itemgetter

from coupons.discounts import Cart, amount_of, left_of, shares_of_price
from coupons.eligibility_queries import CouponSnapshot
from coupons.models import DiscountType

EXACT = 8
"""How many candidates are compared in all sets."""
MOST_LOOKS = 380_000
"""How many lines a search looks at before it gives up comparing all orders: some 30 ms of the processor."""
BESIDE_LINES = 100
"""What else a step of a search takes, in lines."""
SETS_OF_ALL, SETS_OF_MANY = 70, 12
"""How many sets of one size are kept to add another coupon: all of eight candidates, some of more."""


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
class Outlook:
    """What is left of the lines, and by candidate: of its lines, and how much it would take of that.

    `shared` is what is left of the lines that both candidates of a set are for, as far as it was asked for.
    """

    room: Sequence[int]
    rooms: dict[int, int] = field(default_factory=dict)
    takes: dict[int, int] = field(default_factory=dict)
    shared: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrderedSet:
    """Coupons in an order, what they take, and what is left of the lines before the last of them."""

    order: tuple[int, ...]
    total: int
    room: Sequence[int]


@dataclass(slots=True)
class Search:
    """Compares candidates in all orders, or in all sets.

    Sets are numbers, whose bits are the positions of candidates.
    """

    cart: Cart
    candidates: Sequence[Candidate]
    most: int
    shares: list[Sequence[int]] = field(default_factory=list)
    amounts: list[int] = field(default_factory=list)
    pick: list[Callable[[Sequence[int]], Sequence[int]]] = field(default_factory=list)
    alike: list[int] = field(default_factory=list)
    commons: dict[int, Sequence[int]] = field(default_factory=dict)
    kinds: dict[tuple[int, ...], Sequence[int]] = field(default_factory=dict)
    best: tuple[int, ...] = ()
    best_total: int = 0
    looks: int = 0

    def __post_init__(self) -> None:
        former: dict[object, int] = {}
        for position, one in enumerate(self.candidates):
            is_share, is_amount = one.is_of(DiscountType.PERCENT), one.is_of(DiscountType.ABSOLUTE)
            shares = shares_of_price(one.coupon, self.cart, one.places) if is_share else ()
            amount = amount_of(one.coupon, self.cart.currency) if is_amount else 0
            self.shares.append(shares)
            self.pick.append(values_at(one.places))
            self.amounts.append(min(amount, self.rooms(position, self.cart.prices)))
            effect = (one.coupon.discount_type, one.places, tuple(shares), self.amounts[-1])
            self.alike.append(former.get(effect, position))
            former[effect] = position

    @property
    def is_over(self) -> bool:
        """Whether the limit has been reached. If not, no set takes more than the best in any order."""
        return self.looks > MOST_LOOKS

    def run(self) -> tuple[int, ...]:
        """Return the positions of the best candidates, in the order in which they are applied."""
        left_out = 0
        if len(self.candidates) > EXACT:
            self.compare_sets(SETS_OF_MANY)
            by_value = sorted(
                self.rest(0), key=lambda position: self.takes(position, self.cart.prices), reverse=True
            )
            left_out = sum(1 << position for position in by_value[EXACT:])
        self.visit((), left_out, self.cart.prices, 0)
        if self.is_over and not left_out:
            self.compare_sets(SETS_OF_ALL)
        return self.best

    def compare_sets(self, number: int) -> None:
        """Compare sets size by size; add another coupon to so many of each size that take most.

        A set has the order in which it takes most when one of its coupons is added to the others in theirs,
        of equal ones that with the latest of them as the last.
        """
        kept = {0: OrderedSet((), 0, self.cart.prices)}
        for _ in range(self.most):
            found: dict[int, OrderedSet] = {}
            for used, smaller in kept.items():
                room = self.apply(smaller.order[-1], smaller.room) if smaller.order else smaller.room
                for position in self.rest(used):
                    key, total = used | 1 << position, smaller.total + self.takes(position, room)
                    former = found.get(key)
                    least = (
                        (former.total, former.order[-1]) if former else (smaller.total, len(self.candidates))
                    )
                    if (total, position) > least:
                        found[key] = OrderedSet((*smaller.order, position), total, room)
            kept = dict(sorted(found.items(), key=lambda item: -item[1].total)[:number])
            for one in list(kept.values())[:1]:
                self.note(one.order, one.total)

    def visit(self, order: tuple[int, ...], used: int, room: Sequence[int], total: int) -> None:
        """Try the candidates that are left as the next one, the most promising first."""
        now, count = self.outlook(used, room), self.most - len(order)
        rest = [position for position, units in now.takes.items() if units]
        if rest:
            position = max(rest, key=now.takes.__getitem__)
            self.note((*order, position), total + now.takes[position])
        if count == 1:
            return
        steps = []
        for position in rest:
            if self.is_over:
                return
            if self.is_tried_elsewhere(position, order, used):
                continue
            then = total + now.takes[position]
            after = {other: self.takes_after(position, other, now) for other in rest if other != position}
            if count == 2:
                self.finish((*order, position), then, now, after)
                continue
            bounds = list(accumulate([0, *sorted(after.values(), reverse=True)[: count - 1]]))
            if self.could_be_better(len(order) + 1, then, bounds):
                left = self.apply(position, room)
                bounds = self.bounds(used | 1 << position, left, count - 1)
                if self.could_be_better(len(order) + 1, then, bounds):
                    steps.append(Step(position, then, left, bounds))
        steps.sort(key=lambda step: -step.total - step.bounds[-1])
        for step in steps:
            if self.could_be_better(len(order) + 1, step.total, step.bounds) and not self.is_over:
                self.visit((*order, step.position), used | 1 << step.position, step.room, step.total)

    def finish(self, order: tuple[int, ...], total: int, before: Outlook, after: Mapping[int, int]) -> None:
        """Try as the last one each candidate that could be better; `after` is what they take at most."""
        promising = [other for other, units in after.items() if self.beats(len(order) + 1, total + units)]
        if promising:
            left = self.apply(order[-1], before.room)
            self.looks += len(promising) * BESIDE_LINES // 2
            for other in promising:
                self.note((*order, other), total + self.takes(other, left))

    def is_tried_elsewhere(self, position: int, order: tuple[int, ...], used: int) -> bool:
        """Say whether another order that is tried comes to the same as this candidate as the next one."""
        if order and position < order[-1] and self.commute(position, order[-1]):
            return True
        same = self.alike[position]
        return same != position and not used >> same & 1

    def outlook(self, used: int, room: Sequence[int]) -> Outlook:
        """Return what the candidates that the set leaves would take as the next one."""
        now = Outlook(room)
        for position in self.rest(used):
            amount = self.amounts[position]
            now.rooms[position] = rooms = self.rooms(position, room)
            now.takes[position] = min(amount, rooms) if amount else self.takes(position, room)
        return now

    def takes_after(self, first: int, position: int, now: Outlook) -> int:
        """Return how much the candidate takes at most after the first one.

        An amount takes at least its share of the lines that both are for, less what is rounded down.
        """
        if not (self.amounts[first] and self.amounts[position]):
            return now.takes[position]
        common = self.common(first, position)
        key = 1 << first | 1 << position
        if key not in now.shared:
            now.shared[key] = sum(map(now.room.__getitem__, common))
        least = now.takes[first] * now.shared[key] // now.rooms[first] - len(common)
        return min(now.takes[position], now.rooms[position] - max(least, 0))

    def note(self, order: tuple[int, ...], total: int) -> None:
        """Keep what is better than the best so far: it takes more off, or as much with fewer coupons."""
        if self.beats(len(order), total):
            self.best, self.best_total = order, total

    def beats(self, length: int, total: int) -> bool:
        return total > self.best_total or (total == self.best_total and length < len(self.best))

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
        return not self.common(one, other)

    def common(self, one: int, other: int) -> Sequence[int]:
        """Return the places of the lines that both are for."""
        key = 1 << one | 1 << other
        if key not in self.commons:
            places = set(self.candidates[one].places)
            self.commons[key] = tuple(filter(places.__contains__, self.candidates[other].places))
        return self.commons[key]

    def rooms(self, position: int, room: Sequence[int]) -> int:
        """Return what is left of the lines of the candidate."""
        return sum(self.pick[position](room))

    def takes(self, position: int, room: Sequence[int]) -> int:
        """Return how much the candidate takes of what is left of the lines."""
        if self.amounts[position]:
            return min(self.amounts[position], sum(self.pick[position](room)))
        if self.shares[position]:
            return sum(map(min, self.shares[position], self.pick[position](room)))
        return self.cart.shipping if self.candidates[position].is_of(DiscountType.FREE_SHIPPING) else 0

    def apply(self, position: int, room: Sequence[int]) -> Sequence[int]:
        """Return what the candidate leaves of the lines."""
        one = self.candidates[position]
        if one.is_of(DiscountType.FREE_SHIPPING):
            return room
        self.looks += len(room) + BESIDE_LINES
        weights = self.pick[position](room)
        if one.is_of(DiscountType.PERCENT):
            rest = [
                max(weight - share, 0) for weight, share in zip(weights, self.shares[position], strict=True)
            ]
        else:
            whole = sum(weights)
            rest = left_of(min(self.amounts[position], whole), weights, whole)
        left = list(room)
        for place, units in zip(one.places, rest, strict=True):
            left[place] = units
        return left

    def bounds(self, used: int, room: Sequence[int], count: int) -> list[int]:
        """Return by number, up to `count`, how much so many of the other coupons take at most: of all sets
        of that size the largest of the maximum flows to shipping and lines.

        Beside amounts, percentages take what they can of each line; percentages only, what they take in all.
        """
        amounts = self.rest(used, DiscountType.ABSOLUTE)
        shares = self.rest(used, DiscountType.PERCENT)
        rooms = [(0, room)]
        for position in shares if amounts else ():
            rooms += [(size + 1, self.apply(position, left)) for size, left in rooms if size < count]
        found, whole = [0] * (count + 1), sum(room)
        for size, left in rooms:
            taken = whole - sum(left)
            for key, flow in enumerate(self.flows(amounts or shares, left)):
                number = size + key.bit_count()
                if number <= count and taken + flow > found[number]:
                    found[number] = taken + flow
        if self.rest(used, DiscountType.FREE_SHIPPING):
            found[1:] = [max(more, less + self.cart.shipping) for less, more in pairwise(found)]
        return list(accumulate(found, max))

    def flows(self, positions: Sequence[int], room: Sequence[int]) -> list[int]:
        """Return the maximum flow of each set of these coupons to the lines.

        It is a minimum cut: coupons on one side of it, and what is left of all lines of those on the other.
        """
        self.looks += len(room) + BESIDE_LINES
        within = [0] * (1 << len(positions))
        for kind, units in zip(self.kinds_of_lines(positions), room, strict=True):
            within[kind] += units
        within = over_subsets(add, within)  # what is left of lines for no others than these
        sums = [0]
        for position in positions:
            most = self.amounts[position] or self.takes(position, room)
            sums += [units + most for units in sums]
        whole = within[-1]
        cuts = [whole - outside - units for outside, units in zip(reversed(within), sums, strict=True)]
        return list(map(add, sums, over_subsets(min, cuts)))

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


def values_at(places: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    """Return what takes the values at these places out of a sequence."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: [values[place] for place in places]


def over_subsets(function: Callable[[int, int], int], values: list[int]) -> list[int]:
    """Return for each set, of values by set, the values of all its subsets taken together.

    A round takes together the sets with and without the first element, and puts it last.
    """
    for _ in range(len(values).bit_length() - 1):
        without = values[::2]
        values = without + list(map(function, without, values[1::2]))
    return values


def best_set(cart: Cart, candidates: Sequence[Candidate], *, most: int) -> list[Candidate]:
    """Return the candidates that together take most off a fresh cart, in the order to apply them.

    At most `most` are taken, and of equally good sets one with the fewest.
    """
    ordered = sorted(candidates, key=applied_when)
    free = [one for one in ordered if one.is_of(DiscountType.FREE_SHIPPING)]
    ordered = [*free[:1], *ordered[len(free) :]]  # shipping is free only once
    return [ordered[position] for position in Search(cart, ordered, min(most, len(ordered))).run()]


def applied_when(one: Candidate) -> tuple[int, int]:
    kinds = (DiscountType.FREE_SHIPPING, DiscountType.PERCENT, DiscountType.ABSOLUTE)
    return kinds.index(DiscountType(one.coupon.discount_type)), len(one.places)
