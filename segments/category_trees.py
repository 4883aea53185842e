"""The category trees of segments: what is assigned, and above it all that leads there."""

from datetime import datetime

from core.representation.fields import Boolean, Integer, Languages, Localized, Text, Texts
from core.representation.representations import Representation
from core.sql.composition import Sql, sql
from core.sql.fetching import fetch_rows
from core.windows import open_at
from segments.assortment import categories_in_assortment
from segments.representations import validity

NODE = Representation(
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
)


def category_forest(*, tenant_id: int, segments: Sql, at: datetime, languages: Languages) -> str:
    """Return the JSON list of root categories above what the segments hold, in one statement.

    `segments` is an expression of type `bigint[]`: their keys. Children stand under `subcategories`, siblings
    in the order of the tree (position, then name). What is unpublished or outside its window at `at` is left
    out with all below it, and with what leads to it alone.
    """
    held = categories_in_assortment(tenant_id, segments, at=at)
    window = open_at(at, "category")
    document = NODE.document(None, languages)
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
            held=held,
            document=document,
            window=window,
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
