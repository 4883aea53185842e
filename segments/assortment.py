"""The assortment of segments: the products and categories that they hold, as SELECTs to build on.

`segments` is an expression of type `bigint[]`: the keys of the segments. Each SELECT fixes its order of
joins, so that one prepared plan is good for all parameters.
"""

from collections.abc import Sequence
from datetime import datetime

from catalog.subtrees import is_shown, lines_of
from core.sql.composition import Sql, param, sql, text_array
from core.windows import open_at


def products_in_assortment(tenant_id: int, segments: Sql, *, product_ids: Sequence[str], at: datetime) -> Sql:
    """A SELECT of the wire ids of those of the products that the segments hold at `at`, possibly repeated.

    A category that is unpublished, or below one that is, holds none. Looks from the products to their
    assignments, so it costs the same however many items segments hold.
    """
    tenant = param(tenant_id)
    counts = sql(
        "assignment.tenant_id = {tenant} AND assignment.segment_id = ANY((SELECT keys FROM chosen)::bigint[])"
        " AND {window}",
        tenant=tenant,
        window=open_at(at, "assignment"),
    )
    return sql(
        "WITH RECURSIVE chosen AS MATERIALIZED (SELECT {segments} AS keys"
        "), wanted AS MATERIALIZED ("
        " SELECT id, external_id FROM catalog_product"
        " WHERE tenant_id = {tenant} AND external_id = ANY({products})"
        "), held AS MATERIALIZED ("
        " SELECT assignment.category_id, assignment.includes_subcategories"
        " FROM segments_itemassignment AS assignment"
        " WHERE assignment.category_id IS NOT NULL AND {counts}"
        "), standing AS MATERIALIZED ("
        " SELECT wanted.external_id, place.category_id FROM wanted CROSS JOIN LATERAL ("
        "SELECT category_id FROM catalog_categoryassignment"
        " WHERE tenant_id = {tenant} AND product_id = wanted.id OFFSET 0) AS place"
        " WHERE EXISTS (SELECT FROM held)"
        "), above (category_id, ancestor_id) AS ("
        " SELECT DISTINCT category_id, category_id FROM standing"
        " WHERE EXISTS (SELECT FROM held WHERE includes_subcategories)"
        " UNION"
        " SELECT above.category_id, parent.id FROM above CROSS JOIN LATERAL ("
        "SELECT parent_id AS id FROM catalog_category"
        " WHERE id = above.ancestor_id AND parent_id IS NOT NULL OFFSET 0) AS parent"
        "), covered AS ("
        " SELECT category_id FROM held"
        " UNION"
        " SELECT above.category_id FROM above"
        " JOIN held ON held.category_id = above.ancestor_id AND held.includes_subcategories"
        "), place AS MATERIALIZED ("
        " SELECT DISTINCT category_id FROM standing WHERE category_id IN (SELECT category_id FROM covered)"
        "), line (parent_id, is_published) AS ({lines}"
        "), shown AS MATERIALIZED ("
        # most often nothing above any of them is unpublished, so that they need not be looked at one by one
        " SELECT place.category_id FROM place"
        " WHERE NOT EXISTS (SELECT FROM line WHERE NOT is_published) OR {is_shown}"
        ") SELECT wanted.external_id FROM wanted CROSS JOIN LATERAL ("
        "SELECT FROM segments_itemassignment AS assignment"
        " WHERE assignment.product_id = wanted.id AND {counts} LIMIT 1) AS assigned"
        " UNION ALL SELECT standing.external_id FROM standing"
        " WHERE standing.category_id IN (SELECT category_id FROM shown)",
        segments=segments,
        tenant=tenant,
        products=text_array(product_ids),
        counts=counts,
        lines=lines_of(Sql("(SELECT category_id FROM place)")),
        is_shown=is_shown(Sql("place.category_id")),
    )


def categories_in_assortment(tenant_id: int, segments: Sql, *, at: datetime) -> Sql:
    """A SELECT of the keys of the categories that the segments hold at `at`.

    Descendants are among them where the assignment includes subcategories.
    """
    return sql(
        "WITH held AS MATERIALIZED ("
        "SELECT assignment.category_id, assignment.includes_subcategories"
        " FROM segments_itemassignment AS assignment WHERE assignment.category_id IS NOT NULL"
        " AND assignment.tenant_id = {tenant} AND assignment.segment_id = ANY({segments}) AND {window}"
        ") SELECT category_id FROM held"
        " UNION ALL SELECT below.id FROM held"
        " JOIN catalog_category AS category ON category.id = held.category_id"
        " JOIN catalog_category AS below ON below.tree_id = category.tree_id"
        " AND below.lft > category.lft AND below.lft < category.rght"
        " WHERE held.includes_subcategories",
        tenant=param(tenant_id),
        segments=segments,
        window=open_at(at, "assignment"),
    )


def visible_products(tenant_id: int, segments: Sql, *, at: datetime) -> Sql:
    """A SELECT of the keys of the published products that the segments hold at `at`, each once.

    The rule is that of `products_in_assortment`; this looks from the segments to all that they hold.
    """
    return sql(
        "SELECT product.id FROM catalog_product AS product WHERE product.tenant_id = {tenant}"
        " AND product.is_published AND product.id IN (SELECT assignment.product_id"
        " FROM segments_itemassignment AS assignment WHERE assignment.tenant_id = {tenant}"
        " AND assignment.segment_id = ANY({segments}) AND assignment.product_id IS NOT NULL AND {window}"
        " UNION SELECT place.product_id FROM catalog_categoryassignment AS place"
        " JOIN (SELECT DISTINCT held.category_id FROM ({held}) AS held WHERE {is_shown}) AS shown"
        " ON shown.category_id = place.category_id WHERE place.tenant_id = {tenant})",
        tenant=param(tenant_id),
        segments=segments,
        window=open_at(at, "assignment"),
        held=categories_in_assortment(tenant_id, segments, at=at),
        is_shown=is_shown(Sql("held.category_id")),
    )
