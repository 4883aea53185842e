"""The category trees of segments: the categories that are assigned, and all their ancestors."""

from datetime import datetime

from core.representation.fields import Boolean, Integer, Languages, Localized, Text, Texts
from core.representation.representations import Representation
from core.sql.composition import Sql, sql
from core.sql.fetching import fetch_rows
from core.windows import open_at
from segments.assortment import categories_in_assortment
from segments.representations import VALIDITY_TEXTS, validity

CATEGORY_NODE = Representation(
    name="CategoryTreeNode",
    table="catalog_category",
    alias="category",
    fields={
        "id": Text("category.external_id"),
        "parentId": Text("CASE WHEN parent.parent_id IS NOT NULL THEN parent.external_id END"),
        "code": Text("coalesce(category.code, '')"),  # the contract requires it of a node
        "name": Localized("category.name", omit_empty=False),
        "localizedDescription": Localized("category.description"),
        "localizedSlug": Localized("category.slug"),
        "ecn": Texts(
            "(SELECT array_agg(number.value ORDER BY number.rank, number.id)"
            " FROM catalog_categorynumber AS number"
            " WHERE number.tenant_id = category.tenant_id AND number.category_id = category.id)"
        ),
        "validity": validity("category"),
        "position": Integer("category.position"),
        "published": Boolean("category.is_published"),
        "isSegmentAssigned": Boolean("node.is_assigned"),
    },
    documented={
        **VALIDITY_TEXTS,
        "id": {"description": "The category's id."},
        "parentId": {"description": "The id of the category above; absent for the top of a tree."},
        "code": {"description": "The category's code, empty when it has none."},
        "name": {"description": "The name by language."},
        "localizedDescription": {"description": "The description by language."},
        "localizedSlug": {"description": "The part of an address that names the category, by language."},
        "ecn": {"description": "The category's external numbers."},
        "position": {"description": "The position among the categories of the same parent."},
        "published": {"description": "Whether the category is published; only published ones are shown."},
        "isSegmentAssigned": {
            "description": "Whether it is assigned to one of the segments, itself or by an ancestor."
        },
        "subcategories": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/CategoryTreeNode"},
            "description": "The categories below that are assigned or lead to one that is.",
        },
    },
)


def category_forest(*, tenant_id: int, segments: Sql, at: datetime, languages: Languages) -> str:
    """Return the JSON list of the root categories above what the segments hold, in one statement.

    `segments` is an expression of type `bigint[]`: their keys. Children are listed under `subcategories`,
    siblings in the order of the tree (position, then name). Categories that are unpublished or outside their
    window at `at` are left out with all below them, and so are ancestors of nothing else.
    """
    rows = fetch_rows(
        sql(
            "WITH RECURSIVE assigned AS MATERIALIZED ("
            " SELECT DISTINCT held.category_id AS id FROM ({held}) AS held"
            "), above AS ("
            " SELECT category.id, category.parent_id FROM assigned"
            " JOIN catalog_category AS category ON category.id = assigned.id"
            " UNION"
            " SELECT category.id, category.parent_id FROM above CROSS JOIN LATERAL ("
            "SELECT id, parent_id FROM catalog_category WHERE id = above.parent_id OFFSET 0) AS category"
            "), node AS ("
            " SELECT above.id, assigned.id IS NOT NULL AS is_assigned"
            " FROM above LEFT JOIN assigned ON assigned.id = above.id"
            ") SELECT category.id, category.parent_id, parent.parent_id IS NULL, node.is_assigned,"
            " {document}"
            " FROM catalog_category AS category JOIN node ON node.id = category.id"
            " JOIN catalog_category AS parent ON parent.id = category.parent_id"
            # the array tells the planner that few rows come: else it reads all categories
            " WHERE category.id = ANY(ARRAY(SELECT id FROM node))"
            " AND category.is_published AND {window}"
            " ORDER BY category.lft",
            held=categories_in_assortment(tenant_id, segments, at=at),
            document=CATEGORY_NODE.document(None, languages),
            window=open_at(at, "category"),
        ),
        prepared=True,
    )
    return nested(rows)


def nested(rows: list[tuple[int, int, bool, bool, str]]) -> str:
    """Return the rows as nested JSON.

    A row is its key, its parent's key, whether it is a root, whether it is assigned, and its JSON object
    without children; parents come before their children. A row whose parent is missing is left out, and so
    is one that is not assigned and leads to nothing.
    """
    shown: set[int] = set()
    for key, parent, is_root, _, _ in rows:
        if is_root or parent in shown:
            shown.add(key)
    roots: list[str] = []
    children: dict[int, list[str]] = {}
    for key, parent, is_root, is_assigned, text in reversed(rows):
        below = children.pop(key, None)
        if key not in shown or not (is_assigned or below):
            continue
        if below:
            below.reverse()
            text = f'{text[:-1]},"subcategories":[{",".join(below)}]}}'
        if is_root:
            roots.append(text)
        else:
            children.setdefault(parent, []).append(text)
    roots.reverse()
    return f"[{','.join(roots)}]"
