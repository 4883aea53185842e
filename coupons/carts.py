"""Several coupons on one cart: which may be used, what each takes off, and what the refused ones would need.

The coupons are read in one statement, the customer in another, the items in a third; see `coupons.discounts`
for the arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.timestamps import format_time
from coupons.cart_queries import CouponsOfCart, read_coupons
from coupons.discounts import Cart
from coupons.eligibility import Verdict, amount_in_currency, minimum_of, verdict_on
from coupons.eligibility_queries import CouponSnapshot, CustomerState, read_customer_states
from coupons.eligible_products import eligible_products_of_each
from coupons.errors import CartNotRedeemable
from coupons.models import DiscountType
from coupons.models.settings import MOST_CODES
from coupons.money import Amount, Money, in_minor_units, of_minor_units
from coupons.orders import Buyer, CartBody, Order
from coupons.own_coupons import own_codes
from coupons.reasons import Reason, ReasonType
from coupons.suggestions import Candidate, best_set
from segments.visibility import resolve


@dataclass(slots=True)
class JudgedCode:
    """A code of a cart: its coupon and customer (None if unknown), why it is refused, what it grants."""

    code: str
    coupon: CouponSnapshot | None = None
    customer: CustomerState | None = None
    reasons: list[Reason] = field(default_factory=list)
    places: tuple[int, ...] = ()
    discount: Decimal = Decimal(0)

    @property
    def is_accepted(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True)
class JudgedCart:
    """A cart with its codes in the order given, each once, and what they take off it.

    `candidates` are codes of which a better set may be found: only other codes may speak against them.
    """

    body: CartBody
    codes: Sequence[JudgedCode]
    cart: Cart
    most: int
    candidates: Mapping[Candidate, str]

    @property
    def taken(self) -> list[Decimal]:
        """What is taken off each line."""
        return [of_minor_units(units, self.body.currency) for units in self.cart.taken]

    @property
    def shipping_taken(self) -> Decimal:
        return of_minor_units(self.cart.shipping_taken, self.body.currency)

    def require(self) -> None:
        """Raise CartNotRedeemable, carrying every reason of each code, unless all of them are accepted."""
        if refused := {judged.code: judged.reasons for judged in self.codes if judged.reasons}:
            raise CartNotRedeemable(refused)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The codes that together take most off a cart, in the order to send them, and how much that is."""

    codes: Sequence[str]
    discount: Decimal


def codes_to_suggest(body: CartBody, buyer: Buyer, *, at: datetime) -> list[str]:
    """Return the customer's own codes, the soonest end first, as many as are looked at beside the cart's."""
    if not buyer.customer_number:
        return []
    own = own_codes(buyer, resolve(buyer.shopper, at=at), currency=body.currency, at=at)
    return [code for code in own if code not in body.codes][: MOST_CODES - len(body.codes)]


def suggest_codes(judged: JudgedCart) -> Suggestion:
    """Return the best set of the candidates, in the order in which it is best."""
    cart = cart_of(judged.body)
    best = best_set(cart, list(judged.candidates), most=judged.most)
    units = sum(cart.apply(one.coupon, one.places) for one in best)
    return Suggestion([judged.candidates[one] for one in best], of_minor_units(units, judged.body.currency))


def assess_cart(
    *, tenant_id: int, body: CartBody, buyer: Buyer, at: datetime, also: Sequence[str] = ()
) -> JudgedCart:
    """Return what the codes of a cart do, in three statements at most.

    `also` are codes to be suggested, which are judged and take nothing off. Reservations of the customer do
    not count: reserving the cart would take their place. Raises NotAllowed when the buyer names a legal
    entity that is not theirs.
    """
    coupons = read_coupons(tenant_id, body.codes, also=also) if body.codes or also else CouponsOfCart({})
    return judge_cart(tenant_id, coupons, body, buyer, at=at)


def judge_cart(
    tenant_id: int, coupons: CouponsOfCart, body: CartBody, buyer: Buyer, *, at: datetime
) -> JudgedCart:
    """Return what the coupons, which were read (and perhaps locked) already, do for the cart."""
    judged = judge_codes(tenant_id, coupons, body, buyer, at=at)
    candidates = {
        Candidate(one.coupon, one.places): one.code
        for one in judged
        if one.coupon is not None and one.is_accepted
    }
    cart, codes = cart_of(body), judged[: len(coupons.by_code)]
    apply_all(codes, cart, most=coupons.most)
    return JudgedCart(body, codes, cart, coupons.most, candidates)


def cart_of(body: CartBody) -> Cart:
    """Return the cart before any discount."""
    return Cart.of(
        body.currency,
        [int(in_minor_units(item.amount, body.currency)) for item in body.items],
        int(in_minor_units(body.shipping, body.currency)),
    )


def judge_codes(
    tenant_id: int, coupons: CouponsOfCart, body: CartBody, buyer: Buyer, *, at: datetime
) -> list[JudgedCode]:
    """Return each code, then each of the others, with the reasons that do not depend on other codes."""
    usable = [coupon for coupon in coupons.found if not coupon.is_deleted]
    states = read_customer_states(usable, buyer, at=at, replaces_own=True) if usable else []
    judged = list(zip(usable, states, strict=True))
    ids = tuple(dict.fromkeys(item.id for item in body.items))
    eligible = eligible_products_of_each(tenant_id, judged, ids, at=at)
    order = body.as_order()
    verdicts = {
        coupon.id: verdict_on(coupon, customer, order, eligible[coupon.id], at=at)
        for coupon, customer in judged
    }
    return [
        judged_code(code, coupon, verdicts.get(coupon.id) if coupon else None, eligible, order)
        for code, coupon in [*coupons.by_code.items(), *((one.code, one) for one in coupons.others)]
    ]


def judged_code(
    code: str,
    coupon: CouponSnapshot | None,
    verdict: Verdict | None,
    eligible: dict[int, frozenset[str]],
    order: Order,
) -> JudgedCode:
    if coupon is None or verdict is None:
        unknown = Reason(ReasonType.UNKNOWN, f"There is no coupon with the code {code}.", CHECK_SPELLING)
        return JudgedCode(code, reasons=[unknown])
    places = tuple(place for place, item in enumerate(order.items or ()) if item.id in eligible[coupon.id])
    reasons = [with_remedy(reason, coupon, order) for reason in verdict.reasons]
    return JudgedCode(coupon.code, coupon, verdict.customer, reasons, places)


def apply_all(codes: Sequence[JudgedCode], cart: Cart, *, most: int) -> None:
    """Apply the codes that nothing speaks against: free shipping first, then in their order."""
    accepted = 0
    for judged in sorted(codes, key=lambda one: not is_free_shipping(one)):  # which keeps the order otherwise
        if judged.reasons or judged.coupon is None:
            continue
        if not cart.has_room(judged.coupon, judged.places):
            judged.reasons.append(
                Reason(
                    ReasonType.NO_ITEM,
                    "Other coupons have taken off all of what it applies to.",
                    "Remove another coupon.",
                )
            )
        elif accepted == most:
            judged.reasons.append(
                Reason(
                    ReasonType.TOO_MANY,
                    f"A cart takes at most {most} coupon{'s' * (most > 1)}.",
                    "Remove another coupon.",
                )
            )
        else:
            accepted += 1
            units = cart.apply(judged.coupon, judged.places)
            judged.discount = of_minor_units(units, cart.currency)


def is_free_shipping(judged: JudgedCode) -> bool:
    return judged.coupon is not None and judged.coupon.discount_type == DiscountType.FREE_SHIPPING


CHECK_SPELLING = "Check how the code is written."
REMEDIES = {
    ReasonType.ANONYMOUS: "Log in.",
    ReasonType.SEGMENT: "Only members of the coupon's segments can use it.",
    ReasonType.NO_ITEM: "Add an item that the coupon is for.",
}


def with_remedy(reason: Reason, coupon: CouponSnapshot, order: Order) -> Reason:
    """Return the reason with what would remove it; what nothing removes has no remedy."""
    currency, remedy, missing = order.order_total.currency, REMEDIES.get(reason.type, ""), None
    match reason.type:
        case ReasonType.MIN_ORDER_VALUE:
            assert coupon.min_order_value is not None
            missing = Money(Amount(coupon.min_order_value.amount - order.order_total.amount), currency)
            remedy = f"Spend {missing} more."
        case ReasonType.NOT_STARTED:
            assert coupon.valid_from is not None
            remedy = f"Use it from {format_time(coupon.valid_from)} on."
        case ReasonType.CURRENCY:
            wanted = {money.currency for money in (amount_in_currency(coupon), minimum_of(coupon)) if money}
            remedy = f"Pay in {wanted.pop()}." if len(wanted) == 1 else ""  # in two nobody can pay
        case ReasonType.USED_UP:
            is_held = coupon.redemption_count < (coupon.max_redemptions or 0)
            remedy = "Try again when the reservations of others are over." if is_held else ""
    return Reason(reason.type, reason.message, remedy, missing)
