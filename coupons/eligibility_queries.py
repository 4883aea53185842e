"""The queries of eligibility: one statement for the coupon, one for the customer, one for the products."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from catalog.subtrees import is_shown
from core.personal_data.pseudonyms import pseudonym_of
from core.sql.composition import Sql, composed_once, param, sql
from core.sql.fetching import fetch_rows
from coupons.codes import has_code
from coupons.errors import CouponNotFound
from coupons.money import Money, stored_money
from coupons.orders import Buyer
from segments.customer_context import checked_customer_context
from segments.visibility import matching_products, segments_of_member


@dataclass(frozen=True, slots=True)
class CouponSnapshot:
    """The columns of a coupon that eligibility depends on. None means absent, unlimited or open."""

    id: int
    code: str
    is_deleted: bool
    discount_type: str
    discount_percentage: Decimal | None
    discount_absolute: Money | None
    allows_anonymous: bool
    max_redemptions: int | None
    max_redemptions_per_customer: int | None
    is_category_restricted: bool
    is_segment_restricted: bool
    valid_for: tuple[str, ...]
    valid_from: datetime | None
    valid_to: datetime | None
    min_order_value: Money | None
    redemption_count: int


@dataclass(frozen=True, slots=True)
class CustomerState:
    """What eligibility depends on in the customer, for one coupon at one instant.

    `customer_id` is None for an unknown customer. `legal_entity_id` is the wire id of the entity that the
    customer acts for, empty when there is none. `uses` counts the redemptions by the customer for that entity
    (only if the coupon limits them). `segment_ids` are the keys of those of the coupon's segments that are
    effective and that the customer belongs to.
    """

    customer_number: str = ""
    customer_id: int | None = None
    legal_entity_id: str = ""
    uses: int = 0
    segment_ids: tuple[int, ...] = ()


@composed_once
def coupon_statement(lock: bool, *, condition: Sql) -> Sql:
    """Return the statement of `read_coupon`."""
    return sql(
        "SELECT id, code, is_deleted, discount_type, discount_percentage, discount_amount,"
        " discount_currency, allows_anonymous, max_redemptions, max_redemptions_per_customer,"
        " is_category_restricted, is_segment_restricted, valid_for, valid_from, valid_to,"
        " min_order_amount, min_order_currency, redemption_count"
        " FROM coupons_coupon AS coupon WHERE {condition}{locking}",
        condition=condition,
        locking=Sql(" FOR UPDATE" if lock else ""),
    )


def read_coupon(tenant_id: int, code: str, *, lock: bool = False) -> CouponSnapshot:
    """Return the tenant's coupon of this code, a deleted one too; locked until commit when `lock`.

    Raises CouponNotFound when there is none.
    """
    statement = coupon_statement(lock, condition=has_code(tenant_id, code))
    rows = fetch_rows(statement, prepared=True)
    if not rows:
        raise CouponNotFound(code)
    (
        key,
        stored_code,
        is_deleted,
        discount_type,
        percentage,
        discount_amount,
        discount_currency,
        allows_anonymous,
        max_redemptions,
        max_redemptions_per_customer,
        is_category_restricted,
        is_segment_restricted,
        valid_for,
        valid_from,
        valid_to,
        min_order_amount,
        min_order_currency,
        redemption_count,
    ) = rows[0]
    return CouponSnapshot(
        id=key,
        code=stored_code,
        is_deleted=is_deleted,
        discount_type=discount_type,
        discount_percentage=percentage,
        discount_absolute=stored_money(discount_amount, discount_currency),
        allows_anonymous=allows_anonymous,
        max_redemptions=max_redemptions,
        max_redemptions_per_customer=max_redemptions_per_customer,
        is_category_restricted=is_category_restricted,
        is_segment_restricted=is_segment_restricted,
        valid_for=tuple(valid_for),
        valid_from=valid_from,
        valid_to=valid_to,
        min_order_value=stored_money(min_order_amount, min_order_currency),
        redemption_count=redemption_count,
    )


def code_is_taken(tenant_id: int, code: str) -> bool:
    """Say whether a coupon of the tenant has this code, be it a deleted one."""
    condition = has_code(tenant_id, code)
    return bool(
        fetch_rows(sql("SELECT 1 FROM coupons_coupon AS coupon WHERE {has_code}", has_code=condition))
    )


def read_customer_state(coupon: CouponSnapshot, buyer: Buyer, *, at: datetime) -> CustomerState:
    """Return what eligibility depends on in the buyer, in at most one statement.

    Raises NotAllowed when the customer is no contact of the legal entity that is named, or the token acts
    for another one.
    """
    shopper = buyer.shopper
    if not shopper.is_known:
        return CustomerState()
    customer, legal_entity = shopper.keys()
    statement = customer_statement(
        coupon.max_redemptions_per_customer is not None,
        coupon.is_segment_restricted,
        customer=customer,
        legal_entity=legal_entity,
        tenant=param(shopper.tenant_id),
        coupon=param(coupon.id),
        customer_number=param(buyer.customer_number),
        pseudonym=param(pseudonym_of(shopper.tenant_id, buyer.customer_number)),
        at=param(at),
    )
    rows = fetch_rows(statement, prepared=True)
    [(customer_id, acting_key, legal_entity_id, use_count, segment_ids)] = rows
    checked_customer_context(shopper, customer_id, acting_key)
    return CustomerState(
        customer_number=buyer.customer_number,
        customer_id=customer_id,
        legal_entity_id=legal_entity_id or "",
        uses=use_count,
        segment_ids=tuple(segment_ids),
    )


@composed_once
def customer_statement(
    limits_uses: bool,
    is_segment_restricted: bool,
    *,
    customer: Sql,
    legal_entity: Sql,
    tenant: Sql,
    coupon: Sql,
    customer_number: Sql,
    pseudonym: Sql,
    at: Sql,
) -> Sql:
    """Return the statement of `read_customer_state`."""
    uses, segments = Sql("0"), Sql("'{}'::bigint[]")
    if limits_uses:
        uses = sql(
            "(SELECT count(*) FROM coupons_redemption AS redemption WHERE redemption.coupon_id = {coupon}"
            # what the number's owner redeemed before they were erased counts when the number comes again
            " AND redemption.customer_number IN ({customer_number}, {pseudonym})"
            " AND redemption.legal_entity_id = coalesce(entity.external_id, ''))",
            coupon=coupon,
            customer_number=customer_number,
            pseudonym=pseudonym,
        )
    if is_segment_restricted:
        member = segments_of_member(
            tenant, customer=Sql("shopper.customer_id"), legal_entity=Sql("shopper.legal_entity_id"), at=at
        )
        segments = sql(
            "ARRAY(SELECT restriction.segment_id FROM coupons_couponsegment AS restriction"
            " WHERE restriction.coupon_id = {coupon} AND restriction.segment_id IN ({member}) ORDER BY 1)",
            coupon=coupon,
            member=member,
        )
    return sql(
        "WITH shopper AS MATERIALIZED"
        " (SELECT {customer} AS customer_id, {legal_entity} AS legal_entity_id)"
        " SELECT shopper.customer_id, shopper.legal_entity_id, entity.external_id,"
        " {uses}, {segments} FROM shopper"
        " LEFT JOIN accounts_legalentity AS entity ON entity.id = shopper.legal_entity_id",
        customer=customer,
        legal_entity=legal_entity,
        uses=uses,
        segments=segments,
    )


def eligible_products(
    tenant_id: int,
    coupon: CouponSnapshot,
    customer: CustomerState,
    product_ids: Sequence[str],
    *,
    at: datetime,
) -> frozenset[str]:
    """Return those of the products (by wire id) that the coupon is for, in at most one statement.

    A segment-restricted coupon is for the items of the segments through which the buyer may use it, a
    category-restricted one for the products of the included categories (of all, when none is included)
    without those of the excluded ones; descendants count. Products that do not exist are in none of them.
    """
    if coupon.is_segment_restricted:
        return matching_products(
            tenant_id=tenant_id, segment_ids=customer.segment_ids, product_ids=product_ids, at=at
        )
    if coupon.is_category_restricted and product_ids:
        return products_in_categories(tenant_id, coupon.id, product_ids)
    return frozenset(product_ids)


def products_in_categories(tenant_id: int, coupon_id: int, product_ids: Sequence[str]) -> frozenset[str]:
    """Return those of the products that a coupon's included and excluded categories leave.

    A category that is unpublished, or below one that is, includes no product; it still excludes its own.
    """
    tenant = param(tenant_id)
    in_included, in_excluded = (
        sql(
            "EXISTS (SELECT FROM catalog_categoryassignment AS place"
            " JOIN catalog_category AS category ON category.id = place.category_id"
            " JOIN catalog_category AS named ON named.tree_id = category.tree_id"
            " AND category.lft BETWEEN named.lft AND named.rght"
            " JOIN restriction ON restriction.category_id = named.id AND {restricting}"
            " WHERE place.tenant_id = {tenant} AND place.product_id = product.id AND {shown})",
            restricting=restricting,
            tenant=tenant,
            shown=shown,
        )
        for restricting, shown in (
            (Sql("NOT restriction.is_excluded"), is_shown(Sql("category.id"))),
            (Sql("restriction.is_excluded"), Sql("TRUE")),
        )
    )
    rows = fetch_rows(
        sql(
            "WITH restriction AS MATERIALIZED (SELECT category_id, is_excluded"
            " FROM coupons_couponcategory WHERE coupon_id = {coupon})"
            " SELECT product.external_id FROM catalog_product AS product"
            " WHERE product.tenant_id = {tenant} AND product.external_id = ANY({products})"
            " AND ({in_included} OR NOT EXISTS (SELECT FROM restriction WHERE NOT is_excluded))"
            " AND NOT {in_excluded}",
            coupon=param(coupon_id),
            tenant=tenant,
            products=param(list(product_ids), "text[]"),
            in_included=in_included,
            in_excluded=in_excluded,
        )
    )
    return frozenset(external_id for (external_id,) in rows)
