"""May this coupon be used, by this buyer, for this order, now? One verdict for every entry point.

Validation, redemption, the admin's explanation and the replay of history all ask here. All checks are made
independently of each other, so that a refusal names every reason.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.timestamps import format_time
from coupons.eligibility_queries import (
    CouponSnapshot,
    CustomerState,
    read_coupon,
    read_customer_state,
)
from coupons.eligible_products import eligible_products
from coupons.errors import CouponNotFound, CouponNotRedeemable
from coupons.models import DiscountType
from coupons.money import Amount, Money, round_to_minor_unit
from coupons.orders import Buyer, Order, OrderItem
from coupons.reasons import Reason, ReasonType


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result for a coupon, a buyer and an order. Without reasons against it the coupon may be used.

    `eligible_amount` is what the discount is computed on: the eligible items' sum, or the order's total
    without items. `discount` is what the coupon grants, None where that is unknown (an amount in another
    currency than the order's). Both are in the order's currency, and None without an order.
    """

    coupon: CouponSnapshot
    customer: CustomerState
    reasons: tuple[Reason, ...]
    eligible_items: tuple[OrderItem, ...] = ()
    eligible_amount: Decimal | None = None
    discount: Decimal | None = None

    def require(self) -> None:
        """Raise CouponNotRedeemable, carrying every reason, unless the coupon may be used."""
        if self.reasons:
            raise CouponNotRedeemable(self.reasons)


def assess_coupon(
    *, tenant_id: int, code: str, buyer: Buyer, order: Order | None, at: datetime, lock: bool = False
) -> Verdict:
    """Return the verdict about a coupon by its code; without an order, what the order decides is left out.

    Takes a statement for the coupon (locked until commit when `lock`), one for a known buyer and one for
    items. Raises CouponNotFound for an unknown or deleted code, and NotAllowed when the buyer names a legal
    entity that is not theirs.
    """
    coupon = read_coupon(tenant_id, code, lock=lock)
    if coupon.is_deleted:
        raise CouponNotFound(code)
    return assess(tenant_id=tenant_id, coupon=coupon, buyer=buyer, order=order, at=at)


def assess(
    *, tenant_id: int, coupon: CouponSnapshot, buyer: Buyer, order: Order | None, at: datetime
) -> Verdict:
    """Return the verdict about a coupon that was read (and perhaps locked) already."""
    return judge(tenant_id, coupon, read_customer_state(coupon, buyer, at=at), order, at=at)


def judge(
    tenant_id: int, coupon: CouponSnapshot, customer: CustomerState, order: Order | None, *, at: datetime
) -> Verdict:
    """Return the verdict on what was read already; looks up products when the order has items."""
    found: Collection[str] = ()
    if order is not None and order.items is not None:
        ids = tuple(dict.fromkeys(item.id for item in order.items))
        found = eligible_products(tenant_id, coupon, customer, ids, at=at)
    return verdict_on(coupon, customer, order, found, at=at)


def verdict_on(
    coupon: CouponSnapshot,
    customer: CustomerState,
    order: Order | None,
    eligible_ids: Collection[str],
    *,
    at: datetime,
) -> Verdict:
    """Return the verdict on what was read already; `eligible_ids` are the products that it is for."""
    reasons = [*time_reasons(coupon, at), *use_reasons(coupon, customer), *buyer_reasons(coupon, customer)]
    if order is None:
        return Verdict(coupon, customer, tuple(reasons))
    eligible_items: tuple[OrderItem, ...] = ()
    eligible_amount: Decimal = order.order_total.amount
    if order.items is not None:
        eligible_items = tuple(item for item in order.items if item.id in eligible_ids)
        eligible_amount = sum((item.amount for item in eligible_items), Decimal(0))
        if not eligible_items:
            reasons.append(Reason(ReasonType.NO_ITEM, "The coupon applies to none of the items."))
    discount = granted_discount(coupon, Money(Amount(eligible_amount), order.order_total.currency))
    reasons.extend(order_reasons(coupon, order, discount))
    return Verdict(coupon, customer, tuple(reasons), eligible_items, eligible_amount, discount)


def granted_discount(coupon: CouponSnapshot, eligible: Money) -> Decimal | None:
    """Return what the coupon takes off the eligible amount, in the currency's minor unit, half up.

    A percentage of it; or the coupon's amount, but never more than the eligible one, and None in another
    currency; nothing for free shipping, as the items cost what they cost.
    """
    match coupon.discount_type:
        case DiscountType.PERCENT:
            assert coupon.discount_percentage is not None
            granted = eligible.amount * coupon.discount_percentage / 100
        case DiscountType.ABSOLUTE:
            assert coupon.discount_absolute is not None
            if coupon.discount_absolute.currency != eligible.currency:
                return None
            granted = coupon.discount_absolute.amount
        case _:
            return Decimal(0)
    return min(round_to_minor_unit(granted, eligible.currency), eligible.amount)


def time_reasons(coupon: CouponSnapshot, at: datetime) -> Iterator[Reason]:
    if coupon.valid_from is not None and at < coupon.valid_from:
        yield Reason(ReasonType.NOT_STARTED, f"The coupon is valid from {format_time(coupon.valid_from)} on.")
    if coupon.valid_to is not None and at > coupon.valid_to:
        yield Reason(ReasonType.EXPIRED, f"The coupon was valid until {format_time(coupon.valid_to)}.")


def use_reasons(coupon: CouponSnapshot, customer: CustomerState) -> Iterator[Reason]:
    most = coupon.max_redemptions
    if most is not None and coupon.redemption_count + customer.reserved >= most:
        is_held = coupon.redemption_count < most
        text = "is redeemed or reserved" if is_held else "has been redeemed"
        hint = "; try again when reservations are over" if is_held else ""
        yield Reason(ReasonType.USED_UP, f"The coupon {text} as often as it can be{hint}.")
    limit = coupon.max_redemptions_per_customer
    if limit is None or not customer.customer_number or customer.uses < limit:
        return
    if customer.legal_entity_id:
        yield Reason(
            ReasonType.LEGAL_ENTITY_LIMIT,
            f"The customer has redeemed the coupon as often as they can for {customer.legal_entity_id}.",
        )
    else:
        yield Reason(ReasonType.CUSTOMER_LIMIT, "The customer has redeemed the coupon as often as they can.")


def buyer_reasons(coupon: CouponSnapshot, customer: CustomerState) -> Iterator[Reason]:
    number = customer.customer_number
    if not number and not coupon.allows_anonymous:
        yield Reason(ReasonType.ANONYMOUS, "The coupon is only for customers who are logged in.")
    if number and customer.customer_id is None and not coupon.allows_anonymous:
        yield Reason(ReasonType.CUSTOMER, f"There is no customer {number}.")
    elif coupon.valid_for and number not in coupon.valid_for:
        yield Reason(ReasonType.CUSTOMER, "The coupon is for other customers.")
    if coupon.is_segment_restricted and not customer.segment_ids:
        yield Reason(
            ReasonType.SEGMENT,
            "The customer belongs to none of the coupon's segments that are effective at the moment.",
        )


def order_reasons(coupon: CouponSnapshot, order: Order, granted: Decimal | None) -> Iterator[Reason]:
    currency, minimum = order.order_total.currency, minimum_of(coupon)
    if mismatches := list(currency_mismatches(coupon, order, minimum)):
        yield Reason(ReasonType.CURRENCY, f"The order is in {currency}, but {' and '.join(mismatches)}.")
    if minimum and minimum.currency == currency and order.order_total.amount < minimum.amount:
        yield Reason(ReasonType.MIN_ORDER_VALUE, f"The order's total must be at least {minimum}.")
    if (
        order.discount is not None
        and granted is not None
        and coupon.discount_type != DiscountType.FREE_SHIPPING  # what shipping costs only the shop knows
        and order.discount.currency == currency
        and order.discount.amount > granted
    ):
        yield Reason(ReasonType.DISCOUNT, f"The coupon grants {Money(Amount(granted), currency)} at most.")


def minimum_of(coupon: CouponSnapshot) -> Money | None:
    """Return what the order must cost; None where nothing will do."""
    return coupon.min_order_value if coupon.min_order_value and coupon.min_order_value.amount else None


def amount_in_currency(coupon: CouponSnapshot) -> Money | None:
    """Return the amount that the coupon grants; None where it grants none, though one may be stored."""
    return coupon.discount_absolute if coupon.discount_type == DiscountType.ABSOLUTE else None


def currency_mismatches(coupon: CouponSnapshot, order: Order, minimum: Money | None) -> Iterator[str]:
    currency = order.order_total.currency
    absolute = amount_in_currency(coupon)
    if absolute and absolute.currency != currency:
        yield f"the coupon grants an amount in {absolute.currency}"
    if minimum and minimum.currency != currency:
        yield f"the coupon's minimum order value is in {minimum.currency}"
    if order.discount and order.discount.currency != currency:
        yield f"the discount is in {order.discount.currency}"
