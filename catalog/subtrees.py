"""Ancestors, descendants and visibility of categories as parts of statements.

Benchmarked reads (`bench/cases.py`) need these; elsewhere mptt's get_ancestors and get_descendants are used.

A SELECT finds the category by its key, given as an expression, and looks up its range itself, so that a move
in between cannot make it read another subtree.
"""

from collections.abc import Sequence

from core.sql.composition import Sql, identifier, param, sql


def is_category(alias: str) -> Sql:
    """The condition that a row of catalog_category is a category, not the hidden root of its tenant.

    The ORM's `Category.objects` has the same rule.
    """
    return sql("{alias}.parent_id IS NOT NULL", alias=identifier(alias))


def line(category: Sql) -> Sql:
    """A WITH whose table `line` is the category and all above it, except the hidden root."""
    return sql(
        "WITH RECURSIVE line (parent_id, is_published) AS ("
        "SELECT parent_id, is_published FROM catalog_category WHERE id = {category}"
        " UNION ALL SELECT above.parent_id, above.is_published FROM line"
        " JOIN catalog_category AS above ON above.id = line.parent_id AND {is_category})",
        category=category,
        is_category=is_category("above"),
    )


def is_shown(category: Sql) -> Sql:
    """The condition that a category, given by its key, and all above it are published; NULL passes.

    Looks upwards, one index lookup a level, so it costs the same however many categories there are.
    """
    return sql(
        # PostgreSQL would begin the recursion for a product's row, too
        "({category} IS NULL OR NOT EXISTS (WITH RECURSIVE line (parent_id, is_published) AS ("
        "SELECT parent_id, is_published FROM catalog_category WHERE id = {category}"
        # laterally, since the planner expects long lines, and would else read all categories for each level
        " UNION ALL SELECT above.parent_id, above.is_published FROM line CROSS JOIN LATERAL ("
        "SELECT parent_id, is_published FROM catalog_category AS parent"
        " WHERE id = line.parent_id AND {is_category} LIMIT 1) AS above WHERE line.is_published"
        ") SELECT FROM line WHERE NOT is_published))",
        category=category,
        is_category=is_category("parent"),
    )


def lines_of(categories: Sql) -> Sql:
    """The SELECT of a recursive table `line (parent_id, is_published)`: the categories and all above them.

    Each row is there once, so many categories cost little more than the different ones above them.
    """
    return sql(
        "SELECT parent_id, is_published FROM catalog_category WHERE id IN {categories}"
        " UNION SELECT above.parent_id, above.is_published FROM line CROSS JOIN LATERAL ("
        "SELECT parent_id, is_published FROM catalog_category AS parent"
        " WHERE id = line.parent_id AND {is_category} LIMIT 1) AS above",
        categories=categories,
        is_category=is_category("parent"),
    )


def ancestors(category: Sql) -> Sql:
    """A SELECT of the keys of the categories above (and of the hidden root)."""
    return sql("{line} SELECT parent_id FROM line", line=line(category))


def subtrees(keys: Sequence[int]) -> Sql:
    """A SELECT of the keys of these categories and of all below them."""
    return sql(
        "SELECT node.id FROM catalog_category AS top JOIN catalog_category AS node"
        " ON node.tree_id = top.tree_id AND node.lft >= top.lft AND node.lft < top.rght"
        " WHERE top.id = ANY({keys})",
        keys=param(list(keys), "bigint[]"),
    )


def descendants(category: Sql, *, shows_unpublished: bool, depth: int = 0, with_itself: bool = False) -> Sql:
    """A SELECT of the keys of the categories below, `depth` levels down (0: all).

    Unless `shows_unpublished`, everything at and below an unpublished category is left out, also when an
    ancestor is unpublished; the category itself, which `with_itself` adds, always remains. One range of the
    `(tree_id, lft)` index.
    """
    source = sql(
        "catalog_category AS top JOIN catalog_category AS node"
        " ON node.tree_id = top.tree_id AND {first} AND node.lft < top.rght{limit}",
        first=Sql("node.lft >= top.lft" if with_itself else "node.lft > top.lft"),
        limit=sql(" AND node.level <= top.level + {depth}", depth=param(depth)) if depth else Sql(""),
    )
    if shows_unpublished:
        return sql("SELECT node.id FROM {source} WHERE top.id = {category}", source=source, category=category)
    return sql(
        "SELECT id FROM (SELECT node.id, node.lft, max(node.rght) FILTER (WHERE NOT node.is_published)"
        " OVER (ORDER BY node.lft) AS hidden_until FROM {source} WHERE top.id = {category}"
        " AND ({remains}NOT EXISTS ({line} SELECT 1 FROM line WHERE NOT is_published))"
        ") AS descendant WHERE hidden_until IS NULL OR hidden_until < lft {itself}",
        source=source,
        category=category,
        remains=Sql("node.id = top.id OR " if with_itself else ""),
        line=line(category),
        itself=sql("OR id = {category}", category=category) if with_itself else Sql(""),
    )


def open_subtree(category_id: int) -> Sql:
    """A SELECT of the category and of all below it whose line up to it, without it, is published."""
    return sql(
        "SELECT id FROM (SELECT node.id, node.lft,"
        " max(node.rght) FILTER (WHERE NOT node.is_published AND node.id <> top.id)"
        " OVER (ORDER BY node.lft) AS hidden_until"
        " FROM catalog_category AS top JOIN catalog_category AS node"
        " ON node.tree_id = top.tree_id AND node.lft >= top.lft AND node.lft < top.rght"
        " WHERE top.id = {category}) AS below WHERE hidden_until IS NULL OR hidden_until < lft",
        category=param(category_id),
    )


def descendants_among(selection: Sql, category: Sql, *, shows_unpublished: bool) -> Sql:
    """A SELECT of those keys of the selection that `descendants(..., with_itself=True)` would select too.

    Its cost grows with the selection, not with the number of categories: it looks upwards from each selected
    category, at shared ancestors once.
    """
    inside = sql(
        "SELECT node.id, node.parent_id, node.lft, node.rght, node.is_published"
        " FROM catalog_category AS top JOIN catalog_category AS node"
        " ON node.tree_id = top.tree_id AND node.lft >= top.lft AND node.lft < top.rght"
        " WHERE top.id = {category} AND node.id IN ({selection})",
        category=category,
        selection=selection,
    )
    if shows_unpublished:
        return sql("SELECT id FROM ({inside}) AS chosen", inside=inside)
    return sql(
        "WITH RECURSIVE chosen AS MATERIALIZED ({inside}), line AS ("
        "SELECT * FROM chosen UNION"
        # laterally, since the planner expects long lines, and would else read all categories for each level
        " SELECT above.* FROM line CROSS JOIN LATERAL ("
        "SELECT id, parent_id, lft, rght, is_published FROM catalog_category AS parent"
        " WHERE id = line.parent_id AND {is_category} LIMIT 1) AS above"
        ") SELECT id FROM (SELECT id, lft, max(rght) FILTER (WHERE NOT is_published)"
        " OVER (ORDER BY lft) AS hidden_until FROM line) AS seen"
        " WHERE id IN (SELECT id FROM chosen)"
        " AND (id = {category} OR hidden_until IS NULL OR hidden_until < lft)",
        is_category=is_category("parent"),
        inside=inside,
        category=category,
    )
