"""What segments hold: the products and categories that assignments stand for. All are SELECTs to build on.

Which segments is said by `segments`, an expression of type `bigint[]`: their keys. Each SELECT fixes the way
it takes through the tables, so that its plan can be kept for all values.
"""

from collections.abc import Sequence
from datetime import datetime

from core.sql.statements import Sql, text_array
from core.windows import open_at


def products_held(tenant_id: int, segments: Sql, *, product_ids: Sequence[str], at: datetime) -> Sql:
    """A SELECT of the wire ids of those of the products that the segments hold at `at`, some perhaps twice.

    It looks from the products to their assignments, so it costs the same however many items segments hold.
    """
    window, products = open_at(at, "assignment"), text_array(product_ids)
    counts = Sql(
        "assignment.tenant_id = %s AND assignment.segment_id = ANY((SELECT keys FROM chosen)::bigint[])"
        f" AND {window.text}",
        (tenant_id, *window.values),
    )
    return Sql(
        f"WITH RECURSIVE chosen AS MATERIALIZED (SELECT {segments.text} AS keys"
        "), wanted AS MATERIALIZED ("
        " SELECT id, external_id FROM catalog_product"
        f" WHERE tenant_id = %s AND external_id = ANY({products.text})"
        "), held AS MATERIALIZED ("
        " SELECT assignment.category_id, assignment.includes_subcategories"
        " FROM segments_itemassignment AS assignment"
        f" WHERE assignment.category_id IS NOT NULL AND {counts.text}"
        "), standing AS MATERIALIZED ("
        " SELECT wanted.external_id, place.category_id FROM wanted CROSS JOIN LATERAL ("
        "SELECT category_id FROM catalog_categoryassignment"
        " WHERE tenant_id = %s AND product_id = wanted.id OFFSET 0) AS place"
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
        ") SELECT wanted.external_id FROM wanted CROSS JOIN LATERAL ("
        "SELECT FROM segments_itemassignment AS assignment"
        f" WHERE assignment.product_id = wanted.id AND {counts.text} LIMIT 1) AS assigned"
        " UNION ALL SELECT standing.external_id FROM standing"
        " WHERE standing.category_id IN (SELECT category_id FROM covered)",
        (*segments.values, tenant_id, *products.values, *counts.values, tenant_id, *counts.values),
    )


def categories_held(tenant_id: int, segments: Sql, *, at: datetime) -> Sql:
    """A SELECT of the keys of the categories that the segments hold at `at`.

    Descendants are among them where the assignment includes subcategories.
    """
    window = open_at(at, "assignment")
    return Sql(
        "WITH held AS MATERIALIZED ("
        "SELECT assignment.category_id, assignment.includes_subcategories"
        " FROM segments_itemassignment AS assignment WHERE assignment.category_id IS NOT NULL"
        f" AND assignment.tenant_id = %s AND assignment.segment_id = ANY({segments.text}) AND {window.text}"
        ") SELECT category_id FROM held"
        " UNION ALL SELECT below.id FROM held"
        " JOIN catalog_category AS category ON category.id = held.category_id"
        " JOIN catalog_category AS below ON below.tree_id = category.tree_id"
        " AND below.lft > category.lft AND below.lft < category.rght"
        " WHERE held.includes_subcategories",
        (tenant_id, *segments.values, *window.values),
    )
