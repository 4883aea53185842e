"""What the columns of coupons hold, and how a customer is erased and exported there."""

from core.json_types import JsonObject
from core.personal_data.customers import (
    CustomerTrace,
    Eraser,
    Exporter,
    exported,
    register_eraser,
    register_exporter,
)
from core.personal_data.declarations import ERASE, KEEP, PSEUDONYM, declare, each
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute, fetch_rows
from coupons.models import (
    Coupon,
    CouponCampaign,
    CouponCategory,
    CouponSegment,
    CouponSettings,
    JudgementCount,
    Redemption,
    ReportAddition,
    ReportCount,
    Reservation,
)
from coupons.operations.reservations import lock_reservations

CAMPAIGN = KEEP("describes the coupon, not who uses it")
CHOICE = KEEP("one of a few words, or a currency")

declare(
    Coupon,
    {
        **each(CAMPAIGN, "mixins", "mixin_schemas", "code", "name", "description"),
        **each(
            CHOICE, "discount_type", "discount_currency", "discount_calculation_type", "min_order_currency"
        ),
        **each(PSEUDONYM, "valid_for", "issued_to"),
    },
)
declare(CouponCampaign, each(CAMPAIGN, "external_id", "prefix"))
declare(CouponSegment, each(CAMPAIGN, "segment_external_id"))
declare(CouponCategory, each(CAMPAIGN, "category_external_id"))
declare(CouponSettings, each(KEEP("the shop's own"), "referral_prefix", "referral_currency"))
for model in (ReportCount, ReportAddition):
    declare(model, each(KEEP("a name in the code, a currency or a segment"), "kind", "currency", "segment"))
declare(JudgementCount, each(KEEP("valid, refused or the type of a reason"), "outcome"))
declare(
    Redemption,
    {
        "external_id": KEEP("made by the service"),
        "customer_number": PSEUDONYM,
        "legal_entity_id": KEEP("a company"),
        "order_code": KEEP("an order of the shop, needed for its books; emptied where it has the number"),
        "idempotency_key": ERASE,
        **each(CHOICE, "order_total_currency", "discount_currency"),
    },
)
declare(
    Reservation,
    each(
        ERASE,
        *("external_id", "cart_id", "customer_number", "legal_entity_id", "order_code", "idempotency_key"),
        *("release_key", "order_total_currency", "discount_currency", "items", "redemption_id"),
    ),
)


def lock_coupons(tenant_id: int, number: str) -> None:
    """Lock the coupons that name the customer or that they have used or reserved, in the order of their keys.

    Nobody reserves for the customer meanwhile.
    """
    fetch_rows(
        sql(
            "SELECT id FROM coupons_coupon WHERE tenant_id = {tenant} AND ({number} = ANY(valid_for)"
            " OR issued_to = {number} OR id IN (SELECT redemption.coupon_id"
            " FROM coupons_redemption AS redemption"
            " WHERE redemption.tenant_id = {tenant} AND redemption.customer_number = {number}"
            " UNION ALL SELECT reservation.coupon_id FROM coupons_reservation AS reservation"
            " WHERE reservation.tenant_id = {tenant} AND reservation.customer_number = {number}))"
            " ORDER BY id FOR UPDATE",
            tenant=param(tenant_id),
            number=param(number),
        )
    )
    lock_reservations(tenant_id, number)


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Let the pseudonym take the number's place in redemptions and coupons, so that limits still hold.

    Reservations of the customer are deleted.
    """
    slots = {
        "tenant": param(trace.tenant_id),
        "number": param(trace.number),
        "pseudonym": param(trace.pseudonym),
    }
    redemptions = execute(
        sql(
            "UPDATE coupons_redemption SET customer_id = NULL, customer_number = {pseudonym},"
            " idempotency_key = '', order_code = CASE WHEN {mentioned} THEN '' ELSE order_code END"
            " WHERE tenant_id = {tenant} AND customer_number = {number}",
            mentioned=trace.clearly_mentioned_in(Sql("order_code")),
            **slots,
        )
    )
    coupons = execute(
        sql(
            "UPDATE coupons_coupon SET valid_for = array_replace(valid_for, {number}, {pseudonym}),"
            " issued_to = CASE WHEN issued_to = {number} THEN {pseudonym} ELSE issued_to END,"
            " version = version + 1"
            " WHERE tenant_id = {tenant} AND ({number} = ANY(valid_for) OR issued_to = {number})",
            **slots,
        )
    )
    reservations = execute(
        sql(
            "DELETE FROM coupons_reservation WHERE tenant_id = {tenant} AND customer_number = {number}",
            tenant=slots["tenant"],
            number=slots["number"],
        )
    )
    return {"redemptions": redemptions, "coupons": coupons, "reservations": reservations}


REDEMPTION_COLUMNS = {
    "id": "redemption.external_id",
    "code": "coupon.code",
    "legalEntityId": "redemption.legal_entity_id",
    "orderCode": "redemption.order_code",
    "idempotencyKey": "redemption.idempotency_key",
    "orderTotalAmount": "redemption.order_total_amount::text",
    "orderTotalCurrency": "redemption.order_total_currency",
    "discountAmount": "redemption.discount_amount::text",
    "discountCurrency": "redemption.discount_currency",
    "redeemedAt": "redemption.redeemed_at",
}
RESERVATION_COLUMNS = {
    "id": "reservation.external_id",
    "code": "coupon.code",
    "legalEntityId": "reservation.legal_entity_id",
    "orderCode": "reservation.order_code",
    "idempotencyKey": "reservation.idempotency_key",
    "orderTotalAmount": "reservation.order_total_amount::text",
    "orderTotalCurrency": "reservation.order_total_currency",
    "discountAmount": "reservation.discount_amount::text",
    "discountCurrency": "reservation.discount_currency",
    "items": "reservation.items",
    "reservedAt": "reservation.reserved_at",
    "expiresAt": "reservation.expires_at",
    "redemptionId": "reservation.redemption_id",
}


COUPON_COLUMNS = {"code": "code", "isReferral": "is_referral", "createdAt": "created_at"}


def export(trace: CustomerTrace) -> JsonObject:
    slots = {"tenant": param(trace.tenant_id), "number": param(trace.number)}
    redemptions = sql(
        "FROM coupons_redemption AS redemption"
        " JOIN coupons_coupon AS coupon ON coupon.id = redemption.coupon_id"
        " WHERE redemption.tenant_id = {tenant} AND redemption.customer_number = {number}"
        " ORDER BY redemption.id",
        **slots,
    )
    reservations = sql(
        "FROM coupons_reservation AS reservation"
        " JOIN coupons_coupon AS coupon ON coupon.id = reservation.coupon_id"
        " WHERE reservation.tenant_id = {tenant} AND reservation.customer_number = {number}"
        " ORDER BY reservation.id",
        **slots,
    )
    coupons = sql(
        "FROM coupons_coupon WHERE tenant_id = {tenant}"
        " AND ({number} = ANY(valid_for) OR issued_to = {number}) ORDER BY id",
        **slots,
    )
    return {
        "redemptions": exported(REDEMPTION_COLUMNS, redemptions),
        "reservations": exported(RESERVATION_COLUMNS, reservations, documents=("items",)),
        "coupons": exported(COUPON_COLUMNS, coupons),
    }


register_eraser(Eraser("coupons", erase, lock=lock_coupons))
register_exporter(Exporter("coupons", export))
