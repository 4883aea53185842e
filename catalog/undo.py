"""How changes of categories and products are taken back. Only the tree writes categories."""

from collections.abc import Sequence
from datetime import datetime

import orjson

from catalog.journal import CATEGORY
from catalog.models import Category
from catalog.tree import locked_tree
from core.journal.undo.changes import ChangeRow, changes_where, chosen
from core.journal.undo.documents import former_document
from core.journal.undo.followers import neighbours_of_statement
from core.journal.undo.rules import UndoRule, Written, register_undo
from core.json_types import JsonObject
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows

PLACED_BY_TREE = {"id", "tenant", "parent", "lft", "rght", "tree_id", "level"}


def lock_tree(tenant_id: int, changes: Sequence[ChangeRow]) -> None:
    locked_tree(tenant_id)


def write_categories(changes: Sequence[ChangeRow], at: datetime) -> Written:
    """Write the opposite of each change by the tree, which keeps its numbers and refuses cycles."""
    tree = locked_tree(changes[0].tenant_id)
    former = Sql("change.before") if changes[0].kind == "updated" else former_document(CATEGORY)
    rows: dict[int, str] = dict(
        fetch_rows(
            sql(
                "SELECT change.id, ({former})::text FROM journal_change AS change WHERE {chosen}",
                former=former,
                chosen=chosen(changes),
            )
        )
    )
    for change in changes:
        if change.kind == "created":
            tree.delete(Category.objects.get(pk=change.key))
            continue
        values: JsonObject = orjson.loads(rows[change.id])
        category = (
            Category.objects.get(pk=change.key)
            if change.kind == "updated"
            else Category(pk=change.key, tenant_id=change.tenant_id)
        )
        for field in Category._meta.concrete_fields:
            if field.column in values and field.name not in PLACED_BY_TREE:
                setattr(category, field.attname, field.to_python(values[field.column]))
        version = category.version + 1
        if change.kind == "updated":
            version = Category.objects.values_list("version", flat=True).get(pk=change.key) + 1
        category.version, category.modified_at = version, at
        parent_key = values.get("parent_id", category.parent_id)
        parent = Category.all_nodes.get(pk=parent_key)
        if change.kind == "updated":
            names = {field.name for field in Category._meta.concrete_fields} - PLACED_BY_TREE
            tree.update(category, parent=parent, fields=sorted(names))
        else:
            tree.insert(category, parent=parent)
    return {}


def companions_of(change: ChangeRow) -> list[ChangeRow]:
    """Return what the same operation did to other categories.

    A deletion deletes those below, or makes them root categories; a move to a place among others raises the
    positions of those that follow.
    """
    same = sql(
        "change.tenant_id = {tenant} AND change.object = 'category' AND change.tx = {tx}::xid8"
        " AND change.id <> {id}",
        tenant=param(change.tenant_id),
        tx=param(change.tx),
        id=param(change.id),
    )
    if change.kind == "deleted":
        below = sql(
            "{same} AND change.kind = 'deleted' AND change.at = {at} AND change.key IN ("
            "WITH RECURSIVE below (key) AS (SELECT {key}::bigint UNION"
            " SELECT child.key FROM below JOIN journal_change AS child"
            " ON (child.before ->> 'parent_id')::bigint = below.key WHERE child.tenant_id = {tenant}"
            " AND child.object = 'category' AND child.kind = 'deleted' AND child.tx = {tx}::xid8"
            " AND child.at = {at})"
            " SELECT key FROM below)",
            same=same,
            key=param(change.key),
            tenant=param(change.tenant_id),
            tx=param(change.tx),
            at=param(change.at),
        )
        lifted = sql(
            "{same} AND change.kind = 'updated' AND change.before ->> 'parent_id' = {key}::text"
            " AND change.before - 'parent_id' = '{{}}' AND change.id < {id}",
            same=same,
            key=param(change.key, "bigint"),
            id=param(change.id),
        )
        [(former, _)] = fetch_rows(neighbours_of_statement(change))
        found = changes_where(lifted)
        at = next((one.at for one in found if one.id == former), None)  # of the statement right before
        return [*changes_where(below), *(one for one in found if one.at == at)]
    if change.kind == "updated":
        raised = sql(
            "{same} AND change.kind = 'updated' AND change.id < {id} AND change.id > coalesce(("
            "SELECT max(former.id) FROM journal_change AS former WHERE former.tenant_id = {tenant}"
            " AND former.object = 'category' AND former.key = {key} AND former.id < {id}), 0)"
            " AND change.before - 'position' = '{{}}' AND change.key IN ("
            "SELECT node.id FROM catalog_category AS node WHERE node.parent_id ="
            " (SELECT parent_id FROM catalog_category WHERE id = {key}))",
            same=same,
            id=param(change.id),
            tenant=param(change.tenant_id),
            key=param(change.key),
        )
        return changes_where(raised)
    return []


register_undo(
    UndoRule(object="category", prepare=lock_tree, write=write_categories, companions=companions_of),
    UndoRule(object="category-number"),
    UndoRule(object="product"),
)
