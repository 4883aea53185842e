"""Uses of coupons: recorded and deleted under the coupon's lock, so limits are kept and no use is lost."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.sql.composition import bind, slots
from core.sql.fetching import Statement, execute
from core.tenancy.identifiers import generate_id
from coupons.eligibility import judge
from coupons.eligibility_queries import (
    CouponSnapshot,
    CustomerState,
    earlier_redemption,
    read_coupon,
    read_customer_state,
)
from coupons.errors import CouponNotFound, RedemptionNotFound
from coupons.money import Amount, Money
from coupons.orders import Buyer, Order


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A use of a coupon by its wire id; `is_new` is False when the same request had been counted before."""

    id: str
    is_new: bool


@transaction.atomic
def redeem_coupon(
    *, tenant_id: int, code: str, buyer: Buyer, order: Order, at: datetime, idempotency_key: str = ""
) -> Redeemed:
    """Record one use of the coupon, or return the one recorded before.

    Locks the coupon's row before anything else is read, so that two last uses cannot both succeed. The same
    idempotency key or the same order code, for the same coupon, customer and legal entity, returns the
    first redemption, whatever has happened to the coupon since. Raises CouponNotFound, CouponNotRedeemable
    carrying every reason, and NotAllowed when the buyer names a legal entity that is not theirs. An
    order without a discount is recorded with none.
    """
    coupon = read_coupon(tenant_id, code, lock=True)
    customer = read_customer_state(coupon, buyer, at=at)
    if earlier := earlier_redemption(coupon, customer, order.order_code, idempotency_key):
        return Redeemed(earlier, is_new=False)
    if coupon.is_deleted:
        raise CouponNotFound(code)
    judge(tenant_id, coupon, customer, order, at=at).require()
    return Redeemed(
        record_use(tenant_id, coupon, customer, order, at=at, idempotency_key=idempotency_key), is_new=True
    )


RECORD_USE = Statement(
    slots(
        "WITH used AS (UPDATE coupons_coupon SET redemption_count = redemption_count + 1"
        " WHERE id = {coupon} RETURNING id),"
        # The customer may have been deleted or erased since they were read: then nothing of them is kept
        # but the pseudonym, which counts for limits as the number does.
        " buyer AS MATERIALIZED (SELECT id FROM accounts_customer WHERE id = {customer} FOR KEY SHARE)"
        " INSERT INTO coupons_redemption (tenant_id, external_id, coupon_id, customer_id,"
        " customer_number, legal_entity_id, order_code, idempotency_key, order_total_amount,"
        " order_total_currency, discount_amount, discount_currency, redeemed_at)"
        " SELECT {tenant}, {redemption_id}, id, (SELECT id FROM buyer),"
        " CASE WHEN {is_unknown:boolean} OR EXISTS (SELECT FROM buyer) THEN {customer_number}"
        " ELSE {pseudonym} END,"
        " {legal_entity}, {order_code}, {idempotency_key}, {total}, {total_currency},"
        " {discount}, {discount_currency}, {at} FROM used RETURNING external_id"
    )
)


def record_use(
    tenant_id: int,
    coupon: CouponSnapshot,
    customer: CustomerState,
    order: Order,
    *,
    at: datetime,
    idempotency_key: str,
) -> str:
    """Count one more use and write its row, in one statement; return the redemption's id."""
    discount = order.discount or Money(Amount(0), order.order_total.currency)
    [(redemption_id,)] = RECORD_USE.rows(
        coupon=coupon.id,
        tenant=tenant_id,
        redemption_id=generate_id(),
        customer=customer.customer_id,
        is_unknown=customer.customer_id is None,
        customer_number=customer.customer_number,
        pseudonym=customer.pseudonym,
        legal_entity=customer.legal_entity_id,
        order_code=order.order_code,
        idempotency_key=idempotency_key,
        total=order.order_total.amount,
        total_currency=order.order_total.currency,
        discount=discount.amount,
        discount_currency=discount.currency,
        at=at,
    )
    return redemption_id


@transaction.atomic
def delete_redemption(*, tenant_id: int, code: str, redemption_id: str) -> None:
    """Delete a use: its row goes, and the coupon (a deleted one too) has one use less.

    Raises CouponNotFound and RedemptionNotFound.
    """
    coupon = read_coupon(tenant_id, code, lock=True)
    removed = execute(
        bind(
            "WITH removed AS (DELETE FROM coupons_redemption"
            " WHERE coupon_id = {coupon} AND external_id = {id} RETURNING coupon_id)"
            " UPDATE coupons_coupon SET redemption_count = redemption_count - 1"
            " FROM removed WHERE coupons_coupon.id = removed.coupon_id",
            coupon=coupon.id,
            id=redemption_id,
        )
    )
    if not removed:
        raise RedemptionNotFound(redemption_id)
