"""What several coupons take off a cart, in plain Python with whole minor units, as the issue says it.

Written before the engine, and sharing no code with it: money is dealt out one minor unit at a time.
"""

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class Code:
    """A coupon: `kind` PERCENT, ABSOLUTE or FREE_SHIPPING, with `value` percent or minor units.

    `lines` are the places of the lines that it applies to; `least` is the undiscounted total it asks for.
    """

    kind: str
    value: Fraction
    lines: tuple[int, ...]
    least: int = 0
    refused: bool = False


@dataclass
class Outcome:
    taken: list[int]
    shipping: int
    accepted: dict[int, int] = field(default_factory=dict)


def half_up(number: Fraction) -> int:
    return int(number + Fraction(1, 2))


def deal(total: int, weights: dict[int, int]) -> dict[int, int]:
    """Shares of the total by weight, rounded down; what is left over goes to the line with most room left.

    Among equal lines the first one gets it; what it cannot bear goes to the next.
    """
    whole = sum(weights.values())
    shares = {line: int(Fraction(total * weight, whole)) if whole else 0 for line, weight in weights.items()}
    left, full = total - sum(shares.values()), set()
    while left:
        open_lines = [line for line in sorted(shares) if line not in full]
        line = max(open_lines, key=lambda one: weights[one] - shares[one])
        while left and shares[line] < weights[line]:
            shares[line] += 1
            left -= 1
        full.add(line)
    return shares


def apply(lines: list[int], shipping: int, codes: list[Code], most: int) -> Outcome:
    """What is taken off each line and the shipping; `accepted` has the discount of each accepted code."""
    outcome = Outcome([0] * len(lines), 0)
    free = [place for place, code in enumerate(codes) if code.kind == "FREE_SHIPPING"]
    for place in [*free, *(place for place in range(len(codes)) if place not in free)]:
        code = codes[place]
        if code.refused or len(outcome.accepted) >= most or sum(lines) < code.least or not code.lines:
            continue
        if code.kind == "FREE_SHIPPING":
            if shipping and outcome.shipping == shipping:
                continue
            outcome.accepted[place] = shipping - outcome.shipping
            outcome.shipping = shipping
            continue
        room = {line: lines[line] - outcome.taken[line] for line in code.lines}
        if sum(lines[line] for line in code.lines) and not sum(room.values()):
            continue
        if code.kind == "PERCENT":
            prices = {line: lines[line] for line in code.lines}
            total = half_up(sum(prices.values()) * code.value / 100)
            # a share of the original price; what a line cannot bear is not taken from another
            shares = deal(total, prices)
            shares = {line: min(share, room[line]) for line, share in shares.items()}
        else:
            shares = deal(min(half_up(code.value), sum(room.values())), room)
        for line, share in shares.items():
            outcome.taken[line] += share
        outcome.accepted[place] = sum(shares.values())
    return outcome
