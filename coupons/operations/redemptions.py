"""Uses of coupons: recorded and taken back under the coupon's lock, so that limits hold and none is lost."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction

from core.sql.statements import Sql, fetch_rows
from core.tenancy.identifiers import generate_id
from coupons.eligibility import judge
from coupons.eligibility_queries import CouponSnapshot, CustomerState, read_coupon, read_customer_state
from coupons.errors import CouponNotFound, RedemptionNotFound
from coupons.money import Money
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
    first redemption, whatever has become of the coupon since. Raises CouponNotFound, CouponNotRedeemable
    carrying every reason, and NotAllowed when the buyer names a legal entity that is not theirs. An
    order without a discount is recorded with none.
    """
    coupon = read_coupon(tenant_id, code, lock=True)
    customer = read_customer_state(coupon, buyer, at=at)
    if earlier := earlier_redemption(coupon, customer, order.code, idempotency_key):
        return Redeemed(earlier, is_new=False)
    if coupon.is_deleted:
        raise CouponNotFound(code)
    judge(tenant_id, coupon, customer, order, at=at).require()
    return Redeemed(
        record_use(tenant_id, coupon, customer, order, at=at, idempotency_key=idempotency_key), is_new=True
    )


def earlier_redemption(
    coupon: CouponSnapshot, customer: CustomerState, order_code: str, idempotency_key: str
) -> str | None:
    """Return the id of the first redemption of this order or with this key; None when there is none."""
    # One search for each, so that each uses its own unique index however many redemptions there are.
    searches = [
        Sql(
            "(SELECT id, external_id FROM coupons_redemption WHERE coupon_id = %s AND customer_number = %s"
            f" AND legal_entity_id = %s AND {column} = %s AND {column} <> '')",
            (coupon.id, customer.customer_number, customer.legal_entity_id, value),
        )
        for column, value in (("order_code", order_code), ("idempotency_key", idempotency_key))
        if value
    ]
    if not searches:
        return None
    found = Sql.joined(" UNION ALL ", searches)
    rows = fetch_rows(
        Sql(f"SELECT external_id FROM ({found.text}) AS found ORDER BY id LIMIT 1", found.values),
        keeps_plan=True,
    )
    return rows[0][0] if rows else None


def record_use(
    tenant_id: int,
    coupon: CouponSnapshot,
    customer: CustomerState,
    order: Order,
    *,
    at: datetime,
    idempotency_key: str,
) -> str:
    """Count one use more and write its row, in one statement; return the redemption's id."""
    discount = order.discount or Money(Decimal(0), order.total.currency)
    [(redemption_id,)] = fetch_rows(
        Sql(
            "WITH used AS (UPDATE coupons_coupon SET redemption_count = redemption_count + 1"
            " WHERE id = %s RETURNING id)"
            " INSERT INTO coupons_redemption (tenant_id, external_id, coupon_id, customer_id,"
            " customer_number, legal_entity_id, order_code, idempotency_key, order_total_amount,"
            " order_total_currency, discount_amount, discount_currency, redeemed_at)"
            # The customer may have been deleted since they were read: then only their number stays.
            " SELECT %s, %s, id, (SELECT id FROM accounts_customer WHERE id = %s FOR KEY SHARE),"
            " %s, %s, %s, %s, %s, %s, %s, %s, %s FROM used RETURNING external_id",
            (
                coupon.id,
                tenant_id,
                generate_id(),
                customer.customer_id,
                customer.customer_number,
                customer.legal_entity_id,
                order.code,
                idempotency_key,
                order.total.amount,
                order.total.currency,
                discount.amount,
                discount.currency,
                at,
            ),
        ),
        keeps_plan=True,
    )
    return redemption_id


@transaction.atomic
def delete_redemption(*, tenant_id: int, code: str, redemption_id: str) -> None:
    """Take a use back: its row goes, and the coupon (a deleted one too) has one use less.

    Raises CouponNotFound and RedemptionNotFound.
    """
    coupon = read_coupon(tenant_id, code, lock=True)
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH removed AS (DELETE FROM coupons_redemption WHERE coupon_id = %s AND external_id = %s"
            " RETURNING coupon_id)"
            " UPDATE coupons_coupon SET redemption_count = redemption_count - 1"
            " FROM removed WHERE coupons_coupon.id = removed.coupon_id",
            [coupon.id, redemption_id],
        )
        if not cursor.rowcount:
            raise RedemptionNotFound(redemption_id)
