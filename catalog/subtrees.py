"""Which categories stand below another: selections for reads, each a part of the statement that uses it.

A selection finds the category by its key, given as an expression, and looks up its range itself, so that a
move in between cannot make it read another subtree.
"""

from collections.abc import Sequence

from core.sql.statements import Sql


def line(category: Sql) -> Sql:
    """A WITH whose table `line` is the category and all above it, but the hidden root."""
    return Sql(
        "WITH RECURSIVE line (parent_id, is_published) AS ("
        f"SELECT parent_id, is_published FROM catalog_category WHERE id = {category.text}"
        " UNION ALL SELECT above.parent_id, above.is_published FROM line"
        " JOIN catalog_category AS above ON above.id = line.parent_id AND above.parent_id IS NOT NULL)",
        category.values,
    )


def ancestors(category: Sql) -> Sql:
    """A SELECT of the keys of the categories above (and of the hidden root)."""
    above = line(category)
    return Sql(f"{above.text} SELECT parent_id FROM line", above.values)


def subtrees(keys: Sequence[int]) -> Sql:
    """A SELECT of the keys of these categories and of all below them."""
    return Sql(
        "SELECT node.id FROM catalog_category AS top JOIN catalog_category AS node"
        " ON node.tree_id = top.tree_id AND node.lft >= top.lft AND node.lft < top.rght"
        " WHERE top.id = ANY(%s::bigint[])",
        (list(keys),),
    )


def descendants(category: Sql, *, shows_unpublished: bool, depth: int = 0, with_itself: bool = False) -> Sql:
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
        return Sql(
            f"SELECT node.id FROM {source} WHERE top.id = {category.text}", (*limit.values, *category.values)
        )
    stays = "node.id = top.id OR " if with_itself else ""
    above = line(category)
    itself = Sql(f"OR id = {category.text}", category.values) if with_itself else Sql("")
    return Sql(
        "SELECT id FROM (SELECT node.id, node.lft, max(node.rght) FILTER (WHERE NOT node.is_published)"
        f" OVER (ORDER BY node.lft) AS hidden_until FROM {source} WHERE top.id = {category.text}"
        f" AND ({stays}NOT EXISTS ({above.text} SELECT 1 FROM line WHERE NOT is_published))"
        f") AS descendant WHERE hidden_until IS NULL OR hidden_until < lft {itself.text}",
        (*limit.values, *category.values, *above.values, *itself.values),
    )


def descendants_among(selection: Sql, category: Sql, *, shows_unpublished: bool) -> Sql:
    """A SELECT of those keys of the selection that `descendants(..., with_itself=True)` would select too.

    Costs as much as the selection is large, however many categories there are: it looks from each selected
    category upwards, shared ways once.
    """
    inside = (
        "SELECT node.id, node.parent_id, node.lft, node.rght, node.is_published"
        " FROM catalog_category AS top JOIN catalog_category AS node"
        " ON node.tree_id = top.tree_id AND node.lft >= top.lft AND node.lft < top.rght"
        f" WHERE top.id = {category.text} AND node.id IN ({selection.text})"
    )
    values = (*category.values, *selection.values)
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
        " WHERE id IN (SELECT id FROM chosen)"
        f" AND (id = {category.text} OR hidden_until IS NULL OR hidden_until < lft)",
        (*values, *category.values),
    )
