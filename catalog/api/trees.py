"""Whole category trees as one JSON text, nested by PostgreSQL.

The nodes come in the order of `lft`, each opens an object, and the depth of the next node says how many
objects end: one sorted pass whatever the size, and no object a node in Python.
"""

from collections.abc import Mapping, Sequence

from catalog.representations import PARENT_JOIN
from catalog.subtrees import is_shown
from core.representation.fields import Field, Languages, json_members
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows


def trees_json(
    *,
    tenant_id: int,
    fields: Mapping[str, Field],
    languages: Languages,
    shows_unpublished: bool,
    category_ids: Sequence[str] | None = None,
    root_id: str | None = None,
) -> str:
    """Return the list of the tenant's trees, in the order of their roots, as JSON text. One statement.

    `category_ids` keeps the trees that hold one of these categories, `root_id` the one tree of this root.
    Unless `shows_unpublished`, a category is left out when it or one above it is unpublished, and naming it
    keeps no tree.
    """
    members = json_members(fields, languages)
    roots = chosen_roots(
        tenant_id, category_ids=category_ids, root_id=root_id, shows_unpublished=shows_unpublished
    )
    statement = sql(
        """
        WITH numbers AS MATERIALIZED (
            SELECT jsonb_object_agg(category_id, numbers) AS of_category FROM (
                SELECT category_id, jsonb_agg(value ORDER BY rank, id) AS numbers
                FROM catalog_categorynumber WHERE tenant_id = {tenant} GROUP BY category_id
            ) AS grouped
        ), placed AS (
            SELECT category.*,
                max(category.rght) FILTER (WHERE NOT category.is_published) OVER (ORDER BY category.lft)
                    AS hidden_until
            FROM catalog_category AS category
            WHERE category.tree_id = {tenant} AND category.level > 0 {roots}
        ), shown AS (
            SELECT placed.*, lead(level) OVER (ORDER BY lft) AS next_level FROM placed {visible}
        )
        SELECT '[' || coalesce(string_agg(
            '{{' || concat_ws(',', {members}) || ',"subcategories":[' || CASE
                WHEN category.next_level > category.level THEN ''
                WHEN category.next_level IS NULL THEN repeat(']}}', category.level)
                ELSE repeat(']}}', category.level - category.next_level + 1) || ','
            END, '' ORDER BY category.lft), '') || ']'
        FROM shown AS category
        {parent}
        """,
        tenant=param(tenant_id),
        roots=roots,
        visible=Sql("" if shows_unpublished else "WHERE hidden_until IS NULL OR hidden_until < lft"),
        members=members,
        parent=Sql(PARENT_JOIN if "parentId" in fields else ""),
    )
    [(text,)] = fetch_rows(statement)
    return text


def chosen_roots(
    tenant_id: int, *, category_ids: Sequence[str] | None, root_id: str | None, shows_unpublished: bool
) -> Sql:
    """Return the condition that a category is in one of the chosen trees."""
    if root_id is not None:
        chosen = sql(
            "SELECT root.lft, root.rght FROM catalog_category AS root"
            " WHERE root.tenant_id = {tenant} AND root.external_id = {id} AND root.level = 1",
            tenant=param(tenant_id),
            id=param(root_id),
        )
    elif category_ids is not None:
        chosen = sql(
            "WITH RECURSIVE line (parent_id, lft, rght, level) AS ("
            "SELECT named.parent_id, named.lft, named.rght, named.level FROM catalog_category AS named"
            " WHERE named.tenant_id = {tenant} AND named.external_id = ANY({ids}) AND {shown}"
            " UNION SELECT above.parent_id, above.lft, above.rght, above.level FROM line"
            " JOIN catalog_category AS above ON above.id = line.parent_id"
            ") SELECT DISTINCT lft, rght FROM line WHERE level = 1",
            tenant=param(tenant_id),
            ids=param(list(category_ids), "text[]"),
            shown=Sql("TRUE") if shows_unpublished else is_shown(Sql("named.id")),
        )
    else:
        return Sql("")
    return sql(
        "AND EXISTS (SELECT 1 FROM ({chosen}) AS chosen"
        " WHERE category.lft BETWEEN chosen.lft AND chosen.rght)",
        chosen=chosen,
    )
