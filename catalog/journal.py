"""What the journal records of products, categories and the products in them.

The same triggers raise the revisions of what is shown (docs/caching.md).
"""

from catalog.models import Category, CategoryAssignment, CategoryNumber, Product
from catalog.revisions import PLACEMENTS, PRODUCT_NAMES, PRODUCTS, TREE
from catalog.tree import sibling_order
from core.journal.declarations import RecordedAssignments, RecordedDocument, all_columns, record
from core.revisions.counting import counting, counting_where, formerly
from core.sql.composition import Sql, identifier, param, sql

PLACE = ("lft", "rght", "tree_id", "level")


def placed_in_tree(rows: Sql, tenant_id: int) -> Sql:
    """Return the categories with the nested-set numbers that follow from their parents.

    `lft` is the place in the order of the tree and `rght` the one behind all descendants, so that
    `lft < other.lft < rght` means "below", as it does at present.
    """
    kept = [identifier("former", name) for name in all_columns(Category) if name not in PLACE]
    return sql(
        "WITH RECURSIVE former AS MATERIALIZED ({rows}), node AS ("
        " SELECT node.id, node.parent_id,"
        " row_number() OVER (PARTITION BY node.parent_id ORDER BY {order}) AS rank FROM former AS node"
        "), path (id, ids, ranks) AS ("
        " SELECT id, ARRAY[id], ARRAY[rank] FROM node WHERE parent_id IS NULL"
        " UNION ALL SELECT node.id, path.ids || node.id, path.ranks || node.rank"
        " FROM path JOIN node ON node.parent_id = path.id"
        "), place AS ("
        " SELECT id, cardinality(ids) - 1 AS level, row_number() OVER (ORDER BY ranks) AS lft FROM path"
        "), tree AS ("
        " SELECT above.id, count(*) AS size FROM path CROSS JOIN LATERAL unnest(path.ids) AS above (id)"
        " GROUP BY above.id"
        ") SELECT {kept}, place.lft, place.lft + tree.size AS rght, former.tenant_id AS tree_id, place.level"
        " FROM former JOIN place ON place.id = former.id JOIN tree ON tree.id = former.id",
        rows=rows,
        order=sibling_order(param(tenant_id)),
        kept=Sql.joined(", ", kept),
    )


CATEGORY = RecordedDocument(
    model=Category,
    object="category",
    derived=PLACE,
    is_appended=True,
    complete=placed_in_tree,
    follow=counting(TREE),
    replaces=formerly("INSERT", "UPDATE", "DELETE"),
)
CATEGORY_NUMBER = RecordedDocument(
    model=CategoryNumber,
    object="category-number",
    external_id="it.value",
    owner="it.category_id",
    part_of="category",
    follow=counting(TREE),
    replaces=formerly("INSERT", "UPDATE", "DELETE"),
)
OF_PRODUCT = counting(PRODUCTS)
NAMED = counting_where(
    "(it.external_id, it.code, it.name) IS DISTINCT FROM (was.external_id, was.code, was.name)",
    PRODUCT_NAMES,
)
PRODUCT = RecordedDocument(
    model=Product,
    object="product",
    follow={**OF_PRODUCT, "UPDATE": OF_PRODUCT["UPDATE"] + NAMED},
    replaces=formerly("UPDATE"),
)
CATEGORY_PRODUCTS = RecordedAssignments(
    model=CategoryAssignment,
    object="category-product",
    owner="category_id",
    owner_table="catalog_category",
    members={"category-product": "product_id"},
    follow=counting(PLACEMENTS),
)

record(CATEGORY, CATEGORY_NUMBER, PRODUCT, CATEGORY_PRODUCTS)
