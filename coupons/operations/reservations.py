"""Uses of coupons that are held while an order may still fail: reserved, confirmed, released.

Every write holds the coupon's lock, then that of the customer's reservations, before it reads what it
decides on. A reservation is over at its instant: the queries say so, and nothing has to run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b

from django.db import transaction

from core.errors import InvalidBody, Problem
from core.personal_data.pseudonyms import pseudonym_of
from core.sql.composition import Sql, bind, param, sql
from core.sql.fetching import fetch_rows
from core.sql.locks import Lock, take_lock
from core.tenancy.identifiers import generate_id
from core.text import plain
from coupons.eligibility import judge, use_reasons
from coupons.eligibility_queries import (
    CouponSnapshot,
    CustomerState,
    earlier_redemption,
    read_coupon,
    read_customer_state,
    reserved_uses,
    uses_of_customer,
)
from coupons.errors import (
    CouponNotFound,
    CouponNotRedeemable,
    ReservationConfirmed,
    ReservationNotFound,
    ReservationOfCart,
    TooManyReservations,
)
from coupons.models import Redemption, Reservation
from coupons.money import Amount, Money
from coupons.operations.redemptions import Redeemed, record_use
from coupons.orders import Buyer, Order, OrderItem

MOST_OF_CUSTOMER = 5


@dataclass(frozen=True, slots=True)
class Reserved:
    """A use that is held; `is_new` is False when the same request had reserved it before."""

    id: str
    expires_at: datetime
    is_new: bool


@transaction.atomic
def reserve_coupon(
    *,
    tenant_id: int,
    code: str,
    buyer: Buyer,
    order: Order,
    seconds: int,
    at: datetime,
    idempotency_key: str = "",
) -> Reserved:
    """Hold one use of the coupon for the customer, in the place of a live one that they hold of it.

    It is judged as a redemption is. The same idempotency key, for the same coupon, customer and legal entity,
    returns the first reservation, whatever has become of it. Raises CouponNotFound, CouponNotRedeemable
    carrying every reason, TooManyReservations, NotAllowed as `redeem_coupon` does, and InvalidBody without a
    customer: a use is held for somebody.
    """
    number = required_customer(buyer)
    coupon = read_coupon(tenant_id, code, lock=True)
    lock_reservations(tenant_id, number)
    customer = read_customer_state(coupon, buyer, at=at, replaces_own=True)
    if idempotency_key:
        earlier = Reservation.objects.filter(
            coupon=coupon.id,
            customer_number=number,
            legal_entity_id=customer.legal_entity_id,
            idempotency_key=idempotency_key,
        ).first()
        if earlier is not None:
            return Reserved(earlier.external_id, earlier.expires_at, is_new=False)
    if coupon.is_deleted:
        raise CouponNotFound(code)
    judge(tenant_id, coupon, customer, order, at=at).require()
    make_room(tenant_id, number, [coupon.id], at=at)
    reservation = new_reservation(
        tenant_id, coupon, customer, order, seconds=seconds, at=at, idempotency_key=idempotency_key
    )
    reservation.save(force_insert=True)
    return Reserved(reservation.external_id, reservation.expires_at, is_new=True)


@transaction.atomic
def confirm_reservation(
    *,
    tenant_id: int,
    code: str,
    reservation_id: str,
    order_code: str = "",
    at: datetime,
    customer_number: str | None = None,
    idempotency_key: str = "",
) -> Redeemed:
    """Make a reservation a redemption; a second time, return the first redemption.

    A live one holds its use whatever has happened to the coupon since; one that is over is judged anew, as it
    was reserved. With `customer_number` only that customer's are found. An order that has redeemed the coupon
    already is not counted again. Raises CouponNotFound, ReservationNotFound, ReservationOfCart,
    CouponNotRedeemable carrying every reason, and NotAllowed when the customer acts for the legal entity no
    more.
    """
    coupon = read_coupon(tenant_id, code, lock=True)
    reservation = find_reservation(coupon, reservation_id, customer_number)
    refuse_part_of_cart(reservation)
    lock_reservations(tenant_id, reservation.customer_number)
    reservation = find_reservation(coupon, reservation_id, customer_number)  # it may have ended or gone
    return confirm(coupon, reservation, order_code=order_code, at=at, idempotency_key=idempotency_key)


@transaction.atomic
def release_reservation(
    *,
    tenant_id: int,
    code: str,
    reservation_id: str,
    at: datetime,
    customer_number: str | None = None,
    idempotency_key: str = "",
) -> None:
    """Give a reserved use back; the same idempotency key releases once and succeeds again.

    Raises CouponNotFound, ReservationNotFound (also when it was released before), ReservationOfCart and
    ReservationConfirmed.
    """
    coupon = read_coupon(tenant_id, code, lock=True)
    reservation = find_reservation(coupon, reservation_id, customer_number)
    refuse_part_of_cart(reservation)
    lock_reservations(tenant_id, reservation.customer_number)
    reservation = find_reservation(coupon, reservation_id, customer_number)  # it may have ended or gone
    if not is_released_by(reservation, idempotency_key):
        require_open(reservation)
        end([reservation], at=at, release_key=idempotency_key)


def required_customer(buyer: Buyer) -> str:
    """Return the number of the buyer; raise InvalidBody when nobody is known."""
    if not buyer.customer_number:
        raise InvalidBody(
            [Problem("customerNumber", "missing_value", "Name the customer for whom the use is reserved.")]
        )
    return buyer.customer_number


def lock_reservations(tenant_id: int, number: str) -> None:
    """Hold the customer's reservations until commit; call it when the coupons are locked."""
    digest = blake2b(f"{tenant_id} {number}".encode(), digest_size=4).digest()
    take_lock(Lock.RESERVATIONS, int.from_bytes(digest, signed=True))


def find_reservation(coupon: CouponSnapshot, reservation_id: str, customer_number: str | None) -> Reservation:
    """Return the coupon's reservation of this id (of that customer only); raise ReservationNotFound."""
    found = Reservation.objects.filter(coupon=coupon.id, external_id=reservation_id)
    if customer_number is not None:
        found = found.filter(customer_number=customer_number)
    reservation = found.first()
    if reservation is None:
        raise ReservationNotFound(reservation_id)
    return reservation


def refuse_part_of_cart(reservation: Reservation) -> None:
    if reservation.cart_id:
        raise ReservationOfCart(reservation.external_id, reservation.cart_id)


def is_released_by(reservation: Reservation, idempotency_key: str) -> bool:
    """Say whether a request with this key has released it."""
    return bool(idempotency_key) and reservation.release_key == idempotency_key


def require_open(reservation: Reservation, *, name: str = "") -> None:
    """Raise ReservationConfirmed or ReservationNotFound unless it has neither been confirmed nor ended.

    `name` is the id that the caller knows it by, if that is another one.
    """
    if reservation.redemption_id:
        raise ReservationConfirmed(name or reservation.external_id)
    if reservation.ended_at is not None:
        raise ReservationNotFound(name or reservation.external_id)


def make_room(tenant_id: int, number: str, coupon_ids: Sequence[int], *, at: datetime) -> None:
    """End the customer's live reservations of these coupons, each with the cart that it belongs to.

    Raises TooManyReservations when those that are left and one of each coupon are more than a customer can
    hold. The caller holds the locks of these coupons and of the customer's reservations. Other coupons of
    such a cart are not locked: they lose a reservation, which breaks no limit.
    """
    live = list(Reservation.objects.filter(tenant=tenant_id, customer_number=number).live_at(at))
    carts = {one.cart_id for one in live if one.coupon_id in coupon_ids} - {""}
    replaced = [one for one in live if one.coupon_id in coupon_ids or one.cart_id in carts]
    if replaced:
        end(replaced, at=at)
    if len(live) - len(replaced) + len(coupon_ids) > MOST_OF_CUSTOMER:
        raise TooManyReservations(MOST_OF_CUSTOMER)


def new_reservation(
    tenant_id: int,
    coupon: CouponSnapshot,
    customer: CustomerState,
    order: Order,
    *,
    seconds: int,
    at: datetime,
    idempotency_key: str,
    cart_id: str = "",
) -> Reservation:
    """Return the row of a use that is held from `at` on. It is not saved."""
    discount = order.discount or Money(Amount(0), order.order_total.currency)
    return Reservation(
        tenant_id=tenant_id,
        external_id=generate_id(),
        coupon_id=coupon.id,
        cart_id=cart_id,
        customer_number=customer.customer_number,
        legal_entity_id=customer.legal_entity_id,
        order_code=order.order_code,
        idempotency_key=idempotency_key,
        order_total_amount=order.order_total.amount,
        order_total_currency=order.order_total.currency,
        discount_amount=discount.amount,
        discount_currency=discount.currency,
        items=stored_items(order),
        reserved_at=at,
        expires_at=at + timedelta(seconds=seconds),
    )


def stored_items(order: Order) -> list[list[str]] | None:
    """Return the lines as they are stored: amounts as texts, so that they stay exact."""
    if order.items is None:
        return None
    return [[item.id, plain(item.amount), plain(item.quantity)] for item in order.items]


def reserved_order(reservation: Reservation, order_code: str) -> Order:
    """Return the order of a reservation, under the code of its confirmation."""
    items = reservation.items
    return Order(
        order_total=Money(Amount(reservation.order_total_amount), reservation.order_total_currency),
        discount=Money(Amount(reservation.discount_amount), reservation.discount_currency),
        items=None
        if items is None
        else [OrderItem(id, Amount(cost), Amount(many)) for id, cost, many in items],
        order_code=order_code or reservation.order_code,
    )


def confirm(
    coupon: CouponSnapshot, reservation: Reservation, *, order_code: str, at: datetime, idempotency_key: str
) -> Redeemed:
    """Make a reservation a redemption, or return the one that it is; raises as `confirm_reservation` does.

    The caller holds the locks of the coupon and of the customer's reservations, and has read it under them.
    """
    tenant_id = reservation.tenant_id
    if reservation.redemption_id:
        if not Redemption.objects.filter(tenant=tenant_id, external_id=reservation.redemption_id).exists():
            raise ReservationNotFound(reservation.external_id)  # its use was given back
        return Redeemed(reservation.redemption_id, is_new=False)
    require_open(reservation)
    order = reserved_order(reservation, order_code)
    holds = reservation.expires_at > at
    if holds:
        customer = read_holder(coupon, reservation, at=at)
    else:
        buyer = Buyer.named(
            tenant_id, reservation.customer_number, legal_entity_id=reservation.legal_entity_id
        )
        customer = read_customer_state(coupon, buyer, at=at)
    redemption_id = earlier_redemption(coupon, customer, order.order_code, idempotency_key)
    is_new = redemption_id is None
    if redemption_id is None:
        if holds:
            if reasons := tuple(use_reasons(coupon, customer)):
                raise CouponNotRedeemable(reasons)
        elif coupon.is_deleted:
            raise CouponNotFound(coupon.code)
        else:
            judge(tenant_id, coupon, customer, order, at=at).require()
        redemption_id = record_use(tenant_id, coupon, customer, order, at=at, idempotency_key=idempotency_key)
    end([reservation], at=at, redemption_id=redemption_id)
    return Redeemed(redemption_id, is_new=is_new)


def read_holder(coupon: CouponSnapshot, reservation: Reservation, *, at: datetime) -> CustomerState:
    """Return the customer of a live reservation, with the uses that stand against it.

    These are the redemptions, and those reservations that were made when others took it for over already:
    clocks of processes differ, and a lock is waited for. Without such, a live reservation always holds
    unless the limit was lowered.
    """
    key, now = param(coupon.id), param(at)
    later = bind("reservation.reserved_at >= {end}", end=reservation.expires_at)
    uses, reserved = Sql("0"), Sql("0")
    pseudonym = pseudonym_of(reservation.tenant_id, reservation.customer_number)
    if coupon.max_redemptions_per_customer is not None:
        uses = uses_of_customer(
            key,
            customer_number=param(reservation.customer_number),
            pseudonym=param(pseudonym),
            legal_entity=param(reservation.legal_entity_id),
            at=now,
            counted=later,
        )
    if coupon.max_redemptions is not None:
        reserved = reserved_uses(key, at=now, counted=later)
    [(customer_id, use_count, reserved_count)] = fetch_rows(
        sql(
            "SELECT (SELECT id FROM accounts_customer WHERE tenant_id = {tenant} AND external_id = {number}),"
            " {uses}, {reserved}",
            tenant=param(reservation.tenant_id),
            number=param(reservation.customer_number),
            uses=uses,
            reserved=reserved,
        )
    )
    return CustomerState(
        customer_number=reservation.customer_number,
        customer_id=customer_id,
        pseudonym=pseudonym,
        legal_entity_id=reservation.legal_entity_id,
        uses=use_count,
        reserved=reserved_count,
    )


def end(
    reservations: Sequence[Reservation], *, at: datetime, redemption_id: str = "", release_key: str = ""
) -> None:
    """Let reservations count no more: they are confirmed as a redemption, or released."""
    Reservation.objects.filter(pk__in=[one.pk for one in reservations]).update(
        ended_at=at, redemption_id=redemption_id, release_key=release_key
    )
