"""What segments hold: the products and categories that assignments stand for. All are SELECTs to build on.

Which assignments to look at is said by `chosen`, a condition on a table `assignment`.
"""

from collections.abc import Sequence
from datetime import datetime

from core.api.sql import Sql
from core.windows import open_at


def products_held(tenant_id: int, chosen: Sql, *, product_ids: Sequence[str], at: datetime) -> Sql:
    """A SELECT of the wire ids of those of the products that the chosen assignments hold at `at`.

    It looks from the products to their assignments, so it costs the same however many items segments hold.
    """
    window = open_at(at, "assignment")
    counts = Sql(
        f"assignment.tenant_id = %s AND {chosen.text} AND {window.text}",
        (tenant_id, *chosen.values, *window.values),
    )
    return Sql(
        "WITH RECURSIVE wanted AS MATERIALIZED ("
        " SELECT id, external_id FROM catalog_product WHERE tenant_id = %s AND external_id = ANY(%s::text[])"
        "), held AS MATERIALIZED ("
        " SELECT assignment.category_id, assignment.includes_subcategories"
        " FROM segments_itemassignment AS assignment"
        f" WHERE assignment.category_id IS NOT NULL AND {counts.text}"
        "), standing AS MATERIALIZED ("
        " SELECT wanted.external_id, place.category_id FROM wanted"
        " JOIN catalog_categoryassignment AS place"
        " ON place.tenant_id = %s AND place.product_id = wanted.id"
        " WHERE EXISTS (SELECT FROM held)"
        "), above (category_id, ancestor_id) AS ("
        " SELECT DISTINCT category_id, category_id FROM standing"
        " WHERE EXISTS (SELECT FROM held WHERE includes_subcategories)"
        " UNION"
        " SELECT above.category_id, category.parent_id FROM above"
        " JOIN catalog_category AS category ON category.id = above.ancestor_id"
        " WHERE category.parent_id IS NOT NULL"
        "), covered AS ("
        " SELECT category_id FROM held"
        " UNION"
        " SELECT above.category_id FROM above"
        " JOIN held ON held.category_id = above.ancestor_id AND held.includes_subcategories"
        ") SELECT wanted.external_id FROM wanted"
        " JOIN segments_itemassignment AS assignment ON assignment.product_id = wanted.id"
        f" WHERE {counts.text}"
        " UNION SELECT standing.external_id FROM standing JOIN covered USING (category_id)",
        (tenant_id, list(product_ids), *counts.values, tenant_id, *counts.values),
    )


def categories_held(tenant_id: int, chosen: Sql, *, at: datetime) -> Sql:
    """A SELECT of the keys of the categories that the chosen assignments hold at `at`.

    Descendants are among them where the assignment includes subcategories.
    """
    window = open_at(at, "assignment")
    values = (tenant_id, *chosen.values, *window.values)
    return Sql(
        "SELECT assignment.category_id FROM segments_itemassignment AS assignment"
        " WHERE assignment.category_id IS NOT NULL"
        f" AND assignment.tenant_id = %s AND {chosen.text} AND {window.text}"
        " UNION ALL SELECT below.id FROM segments_itemassignment AS assignment"
        " JOIN catalog_category AS category ON category.id = assignment.category_id"
        " JOIN catalog_category AS below ON below.tree_id = category.tree_id"
        " AND below.lft > category.lft AND below.lft < category.rght"
        " WHERE assignment.includes_subcategories"
        f" AND assignment.tenant_id = %s AND {chosen.text} AND {window.text}",
        values + values,
    )
