"""For which products of an order coupons are, in at most one statement."""

from collections.abc import Sequence
from datetime import datetime

from catalog.subtrees import is_shown
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from coupons.eligibility_queries import CouponSnapshot, CustomerState
from segments.assortment import products_in_assortment
from segments.visibility import matching_products


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
        rows = fetch_rows(products_in_categories(tenant_id, [coupon.restricted_as], product_ids))
        return frozenset(external_id for _, external_id in rows)
    return frozenset(product_ids)


def eligible_products_of_each(
    tenant_id: int,
    judged: Sequence[tuple[CouponSnapshot, CustomerState]],
    product_ids: Sequence[str],
    *,
    at: datetime,
) -> dict[int, frozenset[str]]:
    """Return those of the products that each coupon (by key) is for, in at most one statement."""
    of_segments = {
        coupon.id: customer.segment_ids for coupon, customer in judged if coupon.is_segment_restricted
    }
    of_categories = {coupon.id: coupon.restricted_as for coupon, _ in judged if coupon.is_category_restricted}
    searches = []
    for ids in sorted(set(of_segments.values()) - {()}):
        keys = param(list(ids), "bigint[]")
        searches.append(
            sql(
                "SELECT 'segments', {keys}, array_agg(found.external_id) FROM ({search}) AS found",
                keys=keys,
                search=products_in_assortment(tenant_id, keys, product_ids=product_ids, at=at),
            )
        )
    if of_categories:
        searches.append(
            sql(
                "SELECT 'categories', ARRAY[found.coupon_id], array_agg(found.external_id)"
                " FROM ({search}) AS found GROUP BY found.coupon_id",
                search=products_in_categories(tenant_id, sorted(set(of_categories.values())), product_ids),
            )
        )
    rows = fetch_rows(Sql.joined(" UNION ALL ", searches), prepared=True) if searches and product_ids else []
    found = {(kind, *keys): frozenset(ids or ()) for kind, keys, ids in rows}
    return (
        {coupon.id: frozenset(product_ids) for coupon, _ in judged}
        | {key: found.get(("segments", *ids), frozenset()) for key, ids in of_segments.items()}
        | {key: found.get(("categories", terms), frozenset()) for key, terms in of_categories.items()}
    )


def products_in_categories(tenant_id: int, coupon_ids: Sequence[int], product_ids: Sequence[str]) -> Sql:
    """A SELECT of each of the coupons with the wire ids of those of the products that its categories leave.

    A category that is unpublished, or below one that is, includes no product; it still excludes its own. Each
    category of the products is looked at once, however many coupons there are.
    """
    return sql(
        "WITH wanted AS MATERIALIZED (SELECT id, external_id FROM catalog_product"
        " WHERE tenant_id = {tenant} AND external_id = ANY({products})),"
        " place AS MATERIALIZED (SELECT assignment.product_id, assignment.category_id FROM wanted"
        " JOIN catalog_categoryassignment AS assignment"
        " ON assignment.tenant_id = {tenant} AND assignment.product_id = wanted.id),"
        " restriction AS MATERIALIZED"
        " (SELECT named.coupon_id, named.is_excluded, top.tree_id, top.lft, top.rght"
        " FROM coupons_couponcategory AS named JOIN catalog_category AS top ON top.id = named.category_id"
        " WHERE named.coupon_id = ANY({coupons})),"
        " inside AS MATERIALIZED (SELECT restriction.coupon_id, restriction.is_excluded, category.id"
        " FROM (SELECT DISTINCT category_id FROM place) AS one"
        " JOIN catalog_category AS category ON category.id = one.category_id"
        " JOIN restriction ON restriction.tree_id = category.tree_id"
        " AND category.lft BETWEEN restriction.lft AND restriction.rght"
        " WHERE restriction.is_excluded OR {is_shown}),"
        " reached AS MATERIALIZED (SELECT inside.coupon_id, inside.is_excluded, place.product_id"
        " FROM inside JOIN place ON place.category_id = inside.id)"
        " SELECT coupon.coupon_id, wanted.external_id FROM unnest({coupons}) AS coupon (coupon_id)"
        " CROSS JOIN wanted WHERE ((coupon.coupon_id, wanted.id)"
        " IN (SELECT coupon_id, product_id FROM reached WHERE NOT is_excluded)"
        " OR coupon.coupon_id NOT IN (SELECT named.coupon_id FROM coupons_couponcategory AS named"
        " WHERE named.coupon_id = ANY({coupons}) AND NOT named.is_excluded))"
        " AND (coupon.coupon_id, wanted.id)"
        " NOT IN (SELECT coupon_id, product_id FROM reached WHERE is_excluded)",
        tenant=param(tenant_id),
        coupons=param(list(coupon_ids), "bigint[]"),
        products=param(list(product_ids), "text[]"),
        is_shown=is_shown(Sql("category.id")),
    )
