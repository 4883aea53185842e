"""Which categories stand below another: selections for reads, each a part of the statement that uses it.

A selection finds the category by its key and looks up its range itself, so that a move in between cannot
make it read another subtree.
"""

from collections.abc import Sequence

from core.api.sql import Sql

# The category of a key and all above it, but the hidden root.
_LINE = (
    "WITH RECURSIVE line (parent_id, is_published) AS ("
    "SELECT parent_id, is_published FROM catalog_category WHERE id = %s"
    " UNION ALL SELECT above.parent_id, above.is_published FROM line"
    " JOIN catalog_category AS above ON above.id = line.parent_id AND above.parent_id IS NOT NULL)"
)


def ancestors(key: int) -> Sql:
    """A SELECT of the keys of the categories above (and of the hidden root)."""
    return Sql(f"{_LINE} SELECT parent_id FROM line", (key,))


def subtrees(keys: Sequence[int]) -> Sql:
    """A SELECT of the keys of these categories and of all below them."""
    return Sql(
        "SELECT node.id FROM catalog_category AS top JOIN catalog_category AS node"
        " ON node.tree_id = top.tree_id AND node.lft >= top.lft AND node.lft < top.rght"
        " WHERE top.id = ANY(%s::bigint[])",
        (list(keys),),
    )


def descendants(key: int, *, shows_unpublished: bool, depth: int = 0, with_itself: bool = False) -> Sql:
    """A SELECT of the keys of the categories below, `depth` levels down (0: all).

    Unless `shows_unpublished`, everything at and below an unpublished category is left out, also when that
    one stands above; the category itself, which `with_itself` adds, always stays. One range of the
    `(tree_id, lft)` index.
    """
    limit = Sql(" AND node.level <= top.level + %s", (depth,)) if depth else Sql("")
    first = "node.lft >= top.lft" if with_itself else "node.lft > top.lft"
    source = (
        "catalog_category AS top JOIN catalog_category AS node"
        f" ON node.tree_id = top.tree_id AND {first} AND node.lft < top.rght{limit.text}"
    )
    if shows_unpublished:
        return Sql(f"SELECT node.id FROM {source} WHERE top.id = %s", (*limit.values, key))
    stays = "node.id = top.id OR " if with_itself else ""
    itself = Sql("OR id = %s", (key,)) if with_itself else Sql("")
    return Sql(
        "SELECT id FROM (SELECT node.id, node.lft, max(node.rght) FILTER (WHERE NOT node.is_published)"
        f" OVER (ORDER BY node.lft) AS hidden_until FROM {source} WHERE top.id = %s"
        f" AND ({stays}NOT EXISTS ({_LINE} SELECT 1 FROM line WHERE NOT is_published))"
        f") AS descendant WHERE hidden_until IS NULL OR hidden_until < lft {itself.text}",
        (*limit.values, key, key, *itself.values),
    )


def descendants_among(selection: Sql, key: int, *, shows_unpublished: bool) -> Sql:
    """A SELECT of those keys of the selection that `descendants(key, with_itself=True)` would select too.

    Costs as much as the selection is large, however many categories there are: it looks from each selected
    category upwards, shared ways once.
    """
    inside = (
        "SELECT node.id, node.parent_id, node.lft, node.rght, node.is_published"
        " FROM catalog_category AS top JOIN catalog_category AS node"
        " ON node.tree_id = top.tree_id AND node.lft >= top.lft AND node.lft < top.rght"
        f" WHERE top.id = %s AND node.id IN ({selection.text})"
    )
    values = (key, *selection.values)
    if shows_unpublished:
        return Sql(f"SELECT id FROM ({inside}) AS chosen", values)
    return Sql(
        f"WITH RECURSIVE chosen AS MATERIALIZED ({inside}), line AS ("
        "SELECT * FROM chosen UNION"
        # laterally, since the planner expects long lines, and would else read all categories for each level
        " SELECT above.* FROM line CROSS JOIN LATERAL ("
        "SELECT id, parent_id, lft, rght, is_published FROM catalog_category"
        " WHERE id = line.parent_id AND parent_id IS NOT NULL LIMIT 1) AS above"
        ") SELECT id FROM (SELECT id, lft, max(rght) FILTER (WHERE NOT is_published)"
        " OVER (ORDER BY lft) AS hidden_until FROM line) AS seen"
        " WHERE id IN (SELECT id FROM chosen) AND (id = %s OR hidden_until IS NULL OR hidden_until < lft)",
        (*values, key),
    )
