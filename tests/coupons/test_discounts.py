"""The arithmetic of carts against the model in plain Python, and what always holds of it."""

from decimal import Decimal
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coupons.carts import JudgedCode, apply_all
from coupons.discounts import Cart, spread
from coupons.eligibility_queries import CouponSnapshot
from coupons.money import DECIMAL_PLACES, Amount, Money
from coupons.reasons import Reason, ReasonType
from coupons.suggestions import Candidate, Search, best_set
from tests.coupons.cart_model import Code, apply, deal

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])
prices = st.lists(st.one_of(st.integers(0, 30), st.integers(0, 10**12)), min_size=1, max_size=6)


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
    return lines, draw(st.sampled_from([0, 5, 499])), codes, draw(st.integers(1, 4)), draw(CURRENCIES)


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


@given(st.dictionaries(st.integers(0, 8), st.integers(0, 10**15), max_size=8), st.data())
def test_shares_add_up_and_none_is_more_than_its_weight(weights, data):
    total = data.draw(st.integers(0, sum(weights.values())))
    shares = spread(total, weights)
    assert sum(shares.values()) == total
    assert all(0 <= shares[place] <= weight for place, weight in weights.items())
    if total < 10_000:
        assert shares == deal(total, weights)


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
    totals = [
        sum(apply(lines, shipping, list(chosen), most).accepted.values())
        for count in range(min(most, len(usable)) + 1)
        for chosen in permutations(usable, count)
    ]
    assert found == max(totals)


@pytest.mark.parametrize("share", [0, Fraction(1, 5), Fraction(3, 4)])
def test_twenty_candidates_and_two_hundred_lines_are_searched_in_few_steps(monkeypatch, share):
    """Also when the amounts come to so much of the cart that all orders would have to be tried."""
    applied = []
    taken_by = Search.taken_by
    monkeypatch.setattr(Search, "taken_by", lambda *args: applied.append(1) or taken_by(*args))
    prices = [100 + place for place in range(200)]
    codes = [
        Code(
            "PERCENT" if key % 2 else "ABSOLUTE",
            Fraction(5 + key) if key % 2 else Fraction(5 + key + int(share * sum(prices[key * 5 :]))),
            tuple(range(key * 5 if share else key % 3, 200 - key)),
        )
        for key in range(20)
    ]
    cart = Cart.of("EUR", prices, 0)
    candidates = [Candidate(snapshot(key, code, "EUR"), code.lines) for key, code in enumerate(codes)]
    assert 1 <= len(best_set(cart, candidates, most=5)) <= 5
    assert len(applied) < 800  # each costs some 0.04 ms


def test_what_is_left_over_goes_to_the_line_with_most_left():
    assert spread(100, {0: 1000, 1: 1000, 2: 900}) == {0: 35, 1: 34, 2: 31}
    assert spread(2, {0: 1, 1: 1, 2: 1}) == {0: 1, 1: 1, 2: 0}
