"""The arithmetic of carts against the model in plain Python, and what always holds of it."""

import random
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, chain, combinations, permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coupons.carts import JudgedCode, apply_all
from coupons.discounts import Cart, spread
from coupons.eligibility_queries import CouponSnapshot
from coupons.money import DECIMAL_PLACES, Amount, Money
from coupons.reasons import Reason, ReasonType
from coupons.suggestions import Candidate, Search, applied_when, best_set
from tests.coupons.cart_model import Code, apply, deal

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])
amounts = st.one_of(st.integers(0, 30), st.integers(0, 10**12), st.sampled_from([0, 1, 50, 50]))
prices = st.lists(amounts, min_size=1, max_size=6) | st.builds(
    lambda price, lines: [price] * lines, amounts, st.integers(1, 6)
)


@st.composite
def carts(draw):
    lines = draw(prices)
    places = st.lists(st.integers(0, len(lines) - 1), unique=True).map(lambda found: tuple(sorted(found)))
    codes = draw(
        st.lists(
            st.builds(
                Code,
                kind=st.sampled_from(["PERCENT", "PERCENT", "ABSOLUTE", "ABSOLUTE", "FREE_SHIPPING"]),
                value=st.sampled_from(["0", "0.5", "10", "12.345678", "33.333333", "50", "60", "100"]).map(
                    Fraction
                ),
                lines=places,
                least=st.sampled_from([0, 0, 0, 25]),
                refused=st.sampled_from([False, False, False, True]),
            ),
            max_size=5,
        )
    )
    return lines, draw(st.sampled_from([0, 5, 499])), codes, draw(st.integers(1, 6)), draw(CURRENCIES)


def absolute(value: int, *lines: int) -> Code:
    return Code("ABSOLUTE", Fraction(value), lines)


def snapshot(key: int, code: Code, currency: str) -> CouponSnapshot:
    places = DECIMAL_PLACES.get(currency, 2)
    value = Decimal(code.value.numerator) / code.value.denominator
    return CouponSnapshot(
        id=key,
        code=f"N{key}",
        is_deleted=False,
        discount_type=code.kind,
        discount_percentage=value,
        discount_absolute=Money(Amount(value.scaleb(-places)), currency),
        allows_anonymous=True,
        max_redemptions=None,
        max_redemptions_per_customer=None,
        is_category_restricted=False,
        is_segment_restricted=False,
        valid_for=(),
        valid_from=None,
        valid_to=None,
        min_order_value=None,
        redemption_count=0,
    )


@given(carts())
def test_carts_are_discounted_as_the_model_says(case):
    lines, shipping, codes, most, currency = case
    judged = []
    for key, code in enumerate(codes):
        against = code.refused or not code.lines or sum(lines) < code.least
        reasons = [Reason(ReasonType.EXPIRED, "over")] if against else []
        judged.append(JudgedCode(f"N{key}", snapshot(key, code, currency), None, reasons, code.lines))
    cart = Cart.of(currency, lines, shipping)
    apply_all(judged, cart, most=most)
    expected = apply(lines, shipping, codes, most)
    assert (cart.taken, cart.shipping_taken) == (expected.taken, expected.shipping)
    unit = Decimal(1).scaleb(-DECIMAL_PLACES.get(currency, 2))
    granted = {place: int(one.discount / unit) for place, one in enumerate(judged) if one.is_accepted}
    assert granted == expected.accepted
    # What the lines and shipping lose is the discount, and nothing loses more than it costs.
    assert sum(granted.values()) == sum(cart.taken) + cart.shipping_taken
    assert all(0 <= off <= price for off, price in zip(cart.taken, lines, strict=True))
    assert 0 <= cart.shipping_taken <= shipping
    assert all(one.discount == 0 for one in judged if not one.is_accepted)
    assert all(one.discount % unit == 0 for one in judged)


@given(st.lists(st.integers(0, 10**15), max_size=8), st.data())
def test_shares_add_up_and_none_is_more_than_its_weight(weights, data):
    total = data.draw(st.integers(0, sum(weights)))
    shares = spread(total, weights)
    assert sum(shares) == total
    assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))
    if total < 10_000:
        assert dict(enumerate(shares)) == deal(total, dict(enumerate(weights)))


@given(carts())
@example(([50, 50, 10], 0, [absolute(60, 0, 1), absolute(50, 1, 2)], 4, "JPY"))  # the second one goes first
def test_the_suggested_set_is_the_best_of_all_sets_in_all_orders(case):
    """Compared with every sequence of codes, as the model applies it."""
    lines, shipping, codes, most, currency = case
    usable = [code for code in codes if code.lines]
    candidates = [Candidate(snapshot(key, code, currency), code.lines) for key, code in enumerate(usable)]
    best = best_set(Cart.of(currency, lines, shipping), candidates, most=most)
    assert len(best) <= most
    cart = Cart.of(currency, lines, shipping)
    found = sum(cart.apply(one.coupon, one.places) for one in best)
    for code in usable:
        code.least, code.refused = 0, False
    results = [
        (sum(apply(lines, shipping, list(chosen), most).accepted.values()), -count)
        for count in range(min(most, len(usable)) + 1)
        for chosen in permutations(usable, count)
    ]
    assert (found, -len(best)) == max(results)  # of equally good ones the one that needs fewest codes


@given(carts(), st.randoms(use_true_random=False))
def test_no_order_takes_more_than_the_bound_says_before_it(case, chance):
    """So that whatever the search leaves out cannot be better."""
    lines, shipping, codes, most, currency = case
    free = [code for code in codes if code.kind == "FREE_SHIPPING"]
    codes = free[:1] + [code for code in codes if code not in free]  # as it is taken off once
    candidates = [Candidate(snapshot(key, code, currency), code.lines) for key, code in enumerate(codes)]
    search = Search(Cart.of(currency, lines, shipping), candidates, min(most, len(codes)))
    used, room, taken, bounds = 0, lines, [], []
    for position in chance.sample(range(len(codes)), search.most):
        bounds.append(search.bounds(used, room, search.most - len(taken)))
        taken.append(search.takes(position, room))
        room = search.apply(position, room)
        used |= 1 << position
    for begin, most_of_all in enumerate(bounds):
        so_far = list(accumulate(taken[begin:], initial=0))
        assert all(units <= bound for units, bound in zip(so_far, most_of_all, strict=True))


def crowded_cart(chance: random.Random, lines: int, codes: int) -> tuple[list[int], list[Code]]:
    """A cart whose coupons overlap and come to about as much as it costs."""
    cart_prices = [chance.randint(5, 3_000) for _ in range(lines)]
    found = []
    for _ in range(codes):
        places = tuple(sorted(chance.sample(range(lines), lines // 2 + 1)))
        share = Fraction(sum(cart_prices) * chance.randint(7, 16), 10 * codes)
        is_share = chance.random() < 0.2
        value = Fraction(chance.randint(5, 60)) if is_share else Fraction(int(share))
        found.append(Code("PERCENT" if is_share else "ABSOLUTE", value, places))
    return cart_prices, found


@pytest.mark.parametrize(("lines", "seed"), [*((3, seed) for seed in range(6)), (6, 4), (8, 2)])
def test_eight_codes_that_use_a_cart_up_are_compared_in_all_orders(lines, seed):
    """All of them may be used at once: 109,601 sequences, many of which leave the same of the lines."""
    cart_prices, codes = crowded_cart(random.Random(seed), lines, 8)  # noqa: S311 -- the same in every run
    candidates = [Candidate(snapshot(key, code, "JPY"), code.lines) for key, code in enumerate(codes)]
    reached = {(0, (0,) * len(cart_prices))}
    states = set(reached)
    while reached:
        former, reached = reached, set()
        for used, taken in former:
            for key, one in enumerate(candidates):
                if not used >> key & 1:
                    cart = Cart("JPY", cart_prices, 0, list(taken))
                    cart.apply(one.coupon, one.places)
                    reached.add((used | 1 << key, tuple(cart.taken)))
        states |= reached
    best = best_set(Cart.of("JPY", cart_prices, 0), candidates, most=8)
    cart = Cart.of("JPY", cart_prices, 0)
    assert sum(cart.apply(one.coupon, one.places) for one in best) == max(sum(taken) for _, taken in states)


def tied_cart(chance: random.Random, lines: int, price: int) -> tuple[list[int], list[Code]]:
    """A cart of equal prices and eight equal amounts, which differ in every order by what is rounded."""
    amount = lines * price * chance.randint(7, 16) // 80
    return [price] * lines, [
        absolute(amount, *sorted(chance.sample(range(lines), lines // 2 + 1))) for _ in range(8)
    ]


def candidates_of(codes: list[Code]) -> list[Candidate]:
    return [Candidate(snapshot(key, code, "JPY"), code.lines) for key, code in enumerate(codes)]


def taken_off(prices_of_lines: list[int], candidates: list[Candidate], *, shipping: int = 0) -> int:
    cart = Cart.of("JPY", prices_of_lines, shipping)
    return sum(cart.apply(one.coupon, one.places) for one in candidates)


def steps_of(monkeypatch, cart, candidates, *, most) -> tuple[Search, int]:
    """Search, and count how many coupons are applied meanwhile."""
    applied = []
    apply_one = Search.apply
    monkeypatch.setattr(Search, "apply", lambda *args: applied.append(1) or apply_one(*args))
    search = Search(cart, sorted(candidates, key=applied_when), most)
    search.run()
    monkeypatch.undo()
    return search, len(applied)


@pytest.mark.parametrize("most", [5, 8])
def test_amounts_for_nested_lines_are_searched_in_their_usual_order(monkeypatch, most):
    """Amounts for all lines, for departments and for shelves of them: nothing beats that order."""
    cart_prices = [100 + place for place in range(200)]
    spans = [(0, 200), (0, 100), (100, 200), (20, 60), (30, 50), (120, 130)]
    codes = [absolute(sum(cart_prices[begin:end]) // 2, *range(begin, end)) for begin, end in spans]
    codes += [Code("PERCENT", Fraction(20), tuple(range(place, 200, 3))) for place in (0, 1)]
    candidates = [Candidate(snapshot(key, code, "JPY"), code.lines) for key, code in enumerate(codes)]
    search, applied = steps_of(monkeypatch, Cart.of("JPY", cart_prices, 0), candidates, most=most)
    assert search.best_total == search.bounds(0, cart_prices, most)[most]
    assert applied < 150  # all sets are 256


@pytest.mark.parametrize(("price", "seed", "most"), [(100, 3, 8), (7, 4, 8), (1000, 7, 6)])
def test_a_search_through_too_many_orders_compares_all_sets_instead(monkeypatch, price, seed, most):
    """Without the limit up to 23,400 coupons are applied here; each costs some 0.04 ms."""
    chance = random.Random(seed)  # noqa: S311 -- the same in every run
    cart_prices, codes = tied_cart(chance, 200, price)
    candidates = candidates_of(codes)
    search, applied = steps_of(monkeypatch, Cart.of("JPY", cart_prices, 0), candidates, most=most)
    assert search.is_over
    assert applied < 1_500
    again = Search(Cart.of("JPY", cart_prices, 0), search.candidates, most)
    assert again.run() == search.best  # the same cart has the same suggestion

    # Each set in the order in which it takes most when one is added to the others in theirs.
    totals, orders = {frozenset[int](): 0}, {frozenset[int](): ()}
    for chosen in map(frozenset, chain(*(combinations(range(8), count) for count in range(1, most + 1)))):
        ways = [(*orders[chosen - {last}], last) for last in chosen]
        taken = {way: taken_off(cart_prices, [search.candidates[key] for key in way]) for way in ways}
        orders[chosen] = max(ways, key=lambda way: (taken[way], way[-1]))
        totals[chosen] = taken[orders[chosen]]
    assert search.best_total >= max(totals.values())


@pytest.mark.parametrize("seed", range(4))
def test_few_of_all_orders_are_looked_at_in_a_large_cart_that_is_used_up(monkeypatch, seed):
    """Of 109,601 sequences of eight codes, and of more than that of twenty."""
    cart_prices, codes = crowded_cart(random.Random(seed), 200, 20)  # noqa: S311 -- the same in every run
    candidates = candidates_of(codes)
    for chosen, most in ((candidates[:8], 5), (candidates[:8], 8), (candidates, 5), (candidates, 20)):
        _, applied = steps_of(monkeypatch, Cart.of("JPY", cart_prices, 0), chosen, most=most)
        assert applied < 2_000
        assert 1 <= len(best_set(Cart.of("JPY", cart_prices, 0), chosen, most=most)) <= most


def test_twenty_codes_for_a_line_each_are_all_suggested():
    codes = [absolute(30 + line, line) for line in range(20)]
    candidates = candidates_of(codes)
    best = best_set(Cart.of("JPY", [100] * 20, 0), candidates, most=20)
    assert taken_off([100] * 20, best) == sum(30 + line for line in range(20))
    five = best_set(Cart.of("JPY", [100] * 20, 0), candidates, most=5)
    assert {one.places for one in five} == {(line,) for line in range(15, 20)}


def test_of_coupons_that_do_the_same_one_order_is_looked_at(monkeypatch):
    """Here they never reach what they could take in another cart, so that no bound ends the search."""
    codes = [absolute(70, 0, 1), *[absolute(40, 1, 2)] * 7]
    candidates = candidates_of(codes)
    search, applied = steps_of(monkeypatch, Cart.of("JPY", [50, 50, 50], 0), candidates, most=8)
    assert search.best_total == 150
    assert applied < 60


def test_what_is_left_over_goes_to_the_line_with_most_left():
    assert spread(100, [1000, 1000, 900]) == [35, 34, 31]
    assert spread(2, [1, 1, 1]) == [1, 1, 0]
