"""The coupons of a customer: those that could be used now, and that are listed for them."""

from datetime import datetime

from core.personal_data.pseudonyms import pseudonym_of
from core.representation.representations import SortKey
from core.sql.composition import Sql, integer, param, sql
from core.sql.fetching import fetch_rows
from core.windows import open_at
from coupons.eligibility_queries import held_by_others, is_live
from coupons.models.settings import MOST_CODES
from coupons.orders import Buyer
from segments.visibility import ResolvedSegments

SOONEST_END_FIRST = (SortKey(Sql("coupon.valid_to"), "timestamptz"),)


def coupons_of_customer(
    buyer: Buyer, found: ResolvedSegments, *, currency: str = "", at: datetime
) -> list[Sql]:
    """Return the conditions on `coupon` that make it one of the customer's.

    Without an order everything else of eligibility holds at `at`, for the segments and the legal entity that
    were resolved; their own live reservations do not stand in the way. A coupon that names another customer
    is never one of them. With `currency`, neither is one that needs an order in another.
    """
    tenant, number = param(found.context.tenant_id), param(buyer.customer_number)
    # Each part has an index of its own: coupons that are listed for all, and those that name the customer.
    listed = sql(
        "coupon.terms_id IS NULL AND coupon.id IN"
        " (SELECT id FROM coupons_coupon WHERE tenant_id = {tenant} AND is_listed"
        " UNION ALL SELECT id FROM coupons_coupon WHERE tenant_id = {tenant} AND valid_for <> '{{}}'"
        " AND valid_for @> ARRAY[{number}]::varchar[] AND is_listed IS NOT FALSE)",
        tenant=tenant,
        number=number,
    )
    conditions = [
        sql("coupon.tenant_id = {tenant}", tenant=tenant),
        listed,
        Sql("NOT coupon.is_deleted"),
        open_at(at, "coupon"),
        sql("(coupon.valid_for = '{{}}' OR {number} = ANY(coupon.valid_for))", number=number),
        sql("coupon.issued_to IN ('', {number})", number=number),
        sql(
            "(NOT coupon.is_segment_restricted OR EXISTS (SELECT FROM coupons_couponsegment AS restriction"
            " WHERE restriction.coupon_id = coupon.id AND restriction.segment_id = ANY({segments})))",
            segments=param(list(found.segment_ids), "bigint[]"),
        ),
        *has_uses_left(buyer, found, at=at),
    ]
    if currency:
        conditions.append(
            sql(
                "(coupon.discount_type <> 'ABSOLUTE' OR coupon.discount_currency = {currency})"
                " AND (coalesce(coupon.min_order_amount, 0) = 0 OR coupon.min_order_currency = {currency})",
                currency=param(currency),
            )
        )
    return conditions


def own_codes(buyer: Buyer, found: ResolvedSegments, *, currency: str, at: datetime) -> list[str]:
    """Return the codes of the customer's coupons, the soonest end first, as many as a cart may name."""
    conditions = coupons_of_customer(buyer, found, currency=currency, at=at)
    rows = fetch_rows(
        sql(
            "SELECT coupon.code FROM coupons_coupon AS coupon WHERE {conditions}"
            " ORDER BY coupon.valid_to, coupon.id LIMIT {most}",
            conditions=Sql.joined(" AND ", conditions),
            most=integer(MOST_CODES),
        ),
        prepared=True,
    )
    return [code for (code,) in rows]


def has_uses_left(buyer: Buyer, found: ResolvedSegments, *, at: datetime) -> list[Sql]:
    """Return the conditions that the customer's next use breaks neither limit of the coupon."""
    slots = {
        "number": param(buyer.customer_number),
        "pseudonym": param(pseudonym_of(found.context.tenant_id, buyer.customer_number)),
        "entity": sql(
            "coalesce((SELECT external_id FROM accounts_legalentity WHERE id = {entity}), '')",
            entity=param(found.context.legal_entity_id, "bigint"),
        ),
    }
    in_all = sql(
        "(coupon.max_redemptions IS NULL OR coupon.redemption_count"
        " + (SELECT count(*) FROM coupons_reservation AS reservation"
        " WHERE reservation.coupon_id = coupon.id AND {is_live} AND {of_others}) < coupon.max_redemptions)",
        is_live=is_live(param(at)),
        of_others=held_by_others(buyer.customer_number),
    )
    of_customer = sql(
        "(coupon.max_redemptions_per_customer IS NULL OR (SELECT count(*)"
        " FROM coupons_redemption AS redemption WHERE redemption.coupon_id = coupon.id"
        " AND redemption.customer_number IN ({number}, {pseudonym})"  # as in uses_of_customer
        " AND redemption.legal_entity_id = {entity})"
        " < coupon.max_redemptions_per_customer)",
        **slots,
    )
    return [in_all, of_customer]
