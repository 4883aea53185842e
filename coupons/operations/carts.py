"""All coupons of a cart reserved, confirmed and released together, or none of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.errors import AlreadyExists, InvalidBody, Problem
from core.tenancy.identifiers import generate_id
from coupons.cart_queries import read_coupons
from coupons.carts import JudgedCart, judge_cart
from coupons.eligibility_queries import CouponSnapshot
from coupons.errors import CartNotRedeemable, CouponNotFound, CouponNotRedeemable, ReservationNotFound
from coupons.models import Reservation
from coupons.money import Amount, Money
from coupons.operations.redemptions import Redeemed
from coupons.operations.reservations import (
    confirm,
    end,
    is_released_by,
    lock_reservations,
    make_room,
    new_reservation,
    require_open,
    required_customer,
)
from coupons.orders import Buyer, CartBody
from coupons.reasons import Reason, ReasonType


@dataclass(frozen=True, slots=True)
class ReservedCart:
    """A cart whose coupons are held: the id of each coupon's reservation, by code."""

    id: str
    expires_at: datetime
    reservations: dict[str, str]
    is_new: bool


@transaction.atomic
def reserve_cart(
    *,
    tenant_id: int,
    body: CartBody,
    buyer: Buyer,
    seconds: int,
    at: datetime,
    idempotency_key: str = "",
) -> ReservedCart:
    """Hold one use of each coupon of the cart, with the discount that it grants there, or of none.

    They take the place of live reservations of the customer for the same coupons, and of the carts that those
    belong to. The same idempotency key returns the first reservation of the cart, whatever has become of it.
    Raises CartNotRedeemable carrying every reason of each code, TooManyReservations, InvalidBody without a
    customer or a code, and NotAllowed when the buyer names a legal entity that is not theirs.
    """
    number = required_customer(buyer)
    if not body.codes:
        raise InvalidBody([Problem("codes", "missing_value", "codes names the coupons to reserve.")])
    coupons = read_coupons(tenant_id, body.codes, lock=True)
    lock_reservations(tenant_id, number)
    if idempotency_key and (earlier := cart_of_key(tenant_id, number, coupons.found, idempotency_key)):
        return earlier
    judged = judge_cart(tenant_id, coupons, body, buyer, at=at)
    judged.require()
    make_room(tenant_id, number, [coupon.id for coupon in coupons.found], at=at)
    cart_id = generate_id()
    rows = Reservation.objects.bulk_create(
        reservations_of(
            tenant_id, judged, cart_id=cart_id, seconds=seconds, at=at, idempotency_key=idempotency_key
        )
    )
    codes = {coupon.id: coupon.code for coupon in coupons.found}
    return ReservedCart(
        cart_id,
        rows[0].expires_at,
        {codes[row.coupon_id]: row.external_id for row in rows},
        is_new=True,
    )


@transaction.atomic
def confirm_cart(
    *,
    tenant_id: int,
    cart_id: str,
    order_code: str = "",
    at: datetime,
    customer_number: str | None = None,
    idempotency_key: str = "",
) -> dict[str, Redeemed]:
    """Make all reservations of a cart redemptions, or none; return them by code.

    Each is confirmed as `confirm_reservation` does it. Raises ReservationNotFound (also when one of them was
    released or replaced), CartNotRedeemable carrying every reason of each code, and NotAllowed when the
    customer acts for the legal entity no more.
    """
    coupons, rows = locked_cart(tenant_id, cart_id, customer_number)
    redeemed: dict[str, Redeemed] = {}
    refused: dict[str, Sequence[Reason]] = {}
    for row in rows:
        coupon = coupons[row.coupon_id]
        try:
            redeemed[coupon.code] = confirm(
                coupon, row, order_code=order_code, at=at, idempotency_key=idempotency_key
            )
        except CouponNotRedeemable as refusal:
            refused[coupon.code] = refusal.reasons
        except CouponNotFound as deleted:
            refused[coupon.code] = [Reason(ReasonType.UNKNOWN, deleted.message)]
        except ReservationNotFound:
            raise ReservationNotFound(cart_id) from None
    if refused:
        raise CartNotRedeemable(refused)  # which takes back what was confirmed
    return redeemed


@transaction.atomic
def release_cart(
    *,
    tenant_id: int,
    cart_id: str,
    at: datetime,
    customer_number: str | None = None,
    idempotency_key: str = "",
) -> None:
    """Give all reserved uses of a cart back; the same idempotency key releases once and succeeds again.

    Raises ReservationNotFound (also when it was released or replaced) and ReservationConfirmed.
    """
    _, rows = locked_cart(tenant_id, cart_id, customer_number)
    if all(is_released_by(row, idempotency_key) for row in rows):
        return
    for row in rows:
        require_open(row, name=cart_id)
    end(rows, at=at, release_key=idempotency_key)


def reservations_of(
    tenant_id: int, judged: JudgedCart, *, cart_id: str, seconds: int, at: datetime, idempotency_key: str
) -> list[Reservation]:
    """Return the rows that hold the coupons of a cart, in the order of the codes. They are not saved."""
    currency = judged.body.currency
    return [
        new_reservation(
            tenant_id,
            code.coupon,
            code.customer,
            judged.body.as_order(Money(Amount(code.discount), currency)),
            seconds=seconds,
            at=at,
            idempotency_key=idempotency_key,
            cart_id=cart_id,
        )
        for code in judged.codes
        if code.coupon is not None and code.customer is not None
    ]


def cart_of_key(
    tenant_id: int, number: str, coupons: Sequence[CouponSnapshot], idempotency_key: str
) -> ReservedCart | None:
    """Return the cart that a request with this key reserved before; None when there is none.

    Raises AlreadyExists when the key belongs to the reservation of a single coupon.
    """
    first = Reservation.objects.filter(
        tenant=tenant_id,
        customer_number=number,
        coupon__in=[coupon.id for coupon in coupons],
        idempotency_key=idempotency_key,
    ).first()
    if first is None:
        return None
    if not first.cart_id:
        raise AlreadyExists(
            "The Idempotency-Key belongs to the reservation of a single coupon. Send another one.",
            field="Idempotency-Key",
        )
    rows = Reservation.objects.filter(tenant=tenant_id, cart_id=first.cart_id).order_by("id")
    reservations = dict(rows.values_list("coupon__code", "external_id"))
    return ReservedCart(first.cart_id, first.expires_at, reservations, is_new=False)


def locked_cart(
    tenant_id: int, cart_id: str, customer_number: str | None
) -> tuple[dict[int, CouponSnapshot], list[Reservation]]:
    """Lock the coupons of a cart in key order and its customer's reservations; return both as they are then.

    Raises ReservationNotFound when there is no such cart (of that customer).
    """
    of_cart = Reservation.objects.filter(tenant=tenant_id, cart_id=cart_id)
    if customer_number is not None:
        of_cart = of_cart.filter(customer_number=customer_number)
    known = list(of_cart.order_by("id").values_list("coupon__code", "customer_number")) if cart_id else []
    if not known:
        raise ReservationNotFound(cart_id)
    coupons = read_coupons(tenant_id, [code for code, _ in known], lock=True).found
    lock_reservations(tenant_id, known[0][1])
    rows = list(of_cart.order_by("id"))
    if not rows:  # the customer was erased meanwhile
        raise ReservationNotFound(cart_id)
    return {coupon.id: coupon for coupon in coupons}, rows
