"""Products, the two category trees, and where the products are."""

from bench.dataset.people import FOREST, SHOP
from bench.dataset.rows import insert_rows
from bench.scales import FOREST_CATEGORIES, Scale
from catalog.models import Category, CategoryAssignment, Product

ROOT_CATEGORIES = 10
CHILDREN = 8
FEW = 5  # products in a category that is no shelf
SECOND_TREE_KEYS = 1_000_000  # keys of the second tree's categories begin after this one


def write_catalog(scale: Scale) -> None:
    """Write products, both trees, and two places for each product: one anywhere, one on a shelf."""
    insert_rows(
        Product,
        {
            "id": "n",
            "tenant_id": str(SHOP),
            "external_id": "'p' || lpad(n::text, 9, '0')",
            "code": "'SKU-' || lpad(n::text, 9, '0')",
            "name": "jsonb_build_object('en', 'Product ' || n, 'de', 'Produkt ' || n)",
            "is_published": "TRUE",
        },
        "FROM generate_series(1, %(products)s) AS n",
        {"products": scale.products},
    )
    write_tree(tenant=SHOP, first_key=0, size=scale.categories)
    write_tree(tenant=FOREST, first_key=SECOND_TREE_KEYS, size=FOREST_CATEGORIES)
    insert_rows(
        CategoryAssignment,
        {
            "tenant_id": str(SHOP),
            "external_id": "'a' || lpad(place.product::text, 9, '0') || place.kind",
            "category_id": "place.category",
            "product_id": "place.product",
        },
        "FROM (SELECT n AS product, 's' AS kind, %(spacing)s * (1 + mod(n, %(shelves)s)) AS category"
        " FROM generate_series(1, %(products)s) AS n"
        " UNION ALL SELECT n, 'x', 1 + mod(n * 7, %(categories)s)"
        f" FROM generate_series(1, least(%(products)s, {FEW} * %(categories)s)) AS n"
        # a product whose own category is its shelf is there once
        " WHERE 1 + mod(n * 7, %(categories)s) <> %(spacing)s * (1 + mod(n, %(shelves)s))"
        ") AS place ORDER BY place.product, place.kind",
        {
            "products": scale.products,
            "categories": scale.categories,
            "shelves": scale.shelves,
            "spacing": spacing_of_shelves(scale.categories, scale.shelves),
        },
    )


def spacing_of_shelves(categories: int, shelves: int) -> int:
    """Return n, every n-th category being a shelf."""
    return categories // shelves


def write_tree(*, tenant: int, first_key: int, size: int) -> None:
    """Write a tenant's forest below its hidden root: ten root categories, eight children each, and so on.

    The nested set comes from each node's place in preorder and the size of its subtree, in one statement.
    """
    insert_rows(
        Category,
        {
            "id": "%(first_key)s + coalesce(nullif(node.n, 0), %(size)s + 1)",
            "tenant_id": "%(tenant)s",
            "external_id": "CASE WHEN node.n = 0 THEN '/' ELSE 'k' || lpad(node.n::text, 6, '0') END",
            "parent_id": "%(first_key)s + CASE node.parent WHEN 0 THEN %(size)s + 1 ELSE node.parent END",
            "code": "CASE WHEN node.n > 0 THEN 'CATEGORY-' || node.n END",
            "name": "CASE WHEN node.n = 0 THEN '{}'::jsonb ELSE"
            " jsonb_build_object('en', 'Category ' || node.n, 'de', 'Kategorie ' || node.n) END",
            "position": "node.place",
            "is_published": "node.n > 0",
            "level": "node.level",
            "tree_id": "%(tenant)s",
            # nodes before this one opened so many brackets, and closed all but those above it
            "lft": "2 * node.before - node.level + 1",
            "rght": "2 * node.before - node.level + 2 * node.nodes",
        },
        "FROM (WITH RECURSIVE grown (n, parent, level, place, path) AS ("
        " SELECT 0, NULL::integer, 0, 0, '{}'::integer[]"
        " UNION ALL SELECT child, grown.n, grown.level + 1, child - first, grown.path || child"
        " FROM grown CROSS JOIN LATERAL (SELECT"
        f" CASE WHEN n = 0 THEN 1 ELSE {ROOT_CATEGORIES} + 1 + (n - 1) * {CHILDREN} END AS first,"
        f" CASE WHEN n = 0 THEN {ROOT_CATEGORIES} ELSE {ROOT_CATEGORIES} + n * {CHILDREN} END AS last"
        ") AS range"
        " CROSS JOIN LATERAL generate_series(first, least(last, %(size)s)) AS child"
        "), sizes AS ("
        " SELECT ancestor, count(*) AS nodes FROM grown CROSS JOIN LATERAL unnest(0 || path) AS ancestor"
        " GROUP BY ancestor"
        ") SELECT grown.*, nodes, row_number() OVER (ORDER BY path) - 1 AS before"
        " FROM grown JOIN sizes ON sizes.ancestor = grown.n) AS node ORDER BY node.before",
        {"tenant": tenant, "first_key": first_key, "size": size},
    )
