"""How changes of categories and products are taken back. Only the tree writes categories."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from catalog.tree import locked_tree
from core.journal.undo.changes import ChangeRow, changes_where
from core.journal.undo.documents import by_halves, write_documents
from core.journal.undo.followers import neighbours_of_statement
from core.journal.undo.rules import UndoRule, Written, register_undo
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows

UNPLACED = {
    "lft": Sql("0"),
    "rght": Sql("0"),
    "level": Sql(
        "(SELECT above.level + 1 FROM catalog_category AS above WHERE above.id = formerly.parent_id)"
    ),
    "tree_id": Sql("change.tenant_id"),
}
"""The tree columns of restored categories, which come level by level, until they are placed together."""


def lock_tree(tenant_id: int, changes: Sequence[ChangeRow]) -> None:
    locked_tree(tenant_id)


def write_categories(changes: Sequence[ChangeRow], at: datetime) -> Written:
    """Write the opposite; place what was changed, whatever was refused.

    Raises WouldCreateCycle, TooDeep, TooManyToDelete and CategoriesTooLarge.
    """
    tree = locked_tree(changes[0].tenant_id)
    if changes[0].kind == "created":
        tree.delete_all([change.key for change in changes])
        return {}
    if changes[0].kind == "deleted":
        write_documents(changes, at, derived=UNPLACED)
        tree.refuse_too_deep()
        return {}
    refused = by_halves(changes, partial(write_documents, at=at))
    if written := [change.key for change in changes if change.id not in refused]:
        tree.place_written(written)
    return refused


def place_restored(changes: Sequence[ChangeRow]) -> None:
    """Place the categories that are back: once, since each time may number the whole forest anew."""
    if changes[0].kind == "deleted":
        locked_tree(changes[0].tenant_id).place_forest()


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
            "WITH RECURSIVE below (key, level) AS (SELECT {key}::bigint, 0 UNION"
            " SELECT child.key, below.level + 1 FROM below JOIN journal_change AS child"
            " ON (child.before ->> 'parent_id')::bigint = below.key WHERE child.tenant_id = {tenant}"
            " AND child.object = 'category' AND child.kind = 'deleted' AND child.tx = {tx}::xid8"
            " AND child.at = {at})"
            " SELECT key, level FROM below",
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
        levels: dict[int, int] = dict(fetch_rows(below))
        deleted = changes_where(
            sql(
                "{same} AND change.kind = 'deleted' AND change.at = {at} AND change.key = ANY({keys})",
                same=same,
                at=param(change.at),
                keys=param(list(levels), "bigint[]"),
            )
        )
        deleted.sort(key=lambda one: levels[one.key])  # who is above comes back first
        [(former, _)] = fetch_rows(neighbours_of_statement([change]))
        found = changes_where(lifted)
        at = next((one.at for one in found if one.id == former), None)  # of the statement right before
        return [*deleted, *(one for one in found if one.at == at)]
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
    UndoRule(
        object="category",
        prepare=lock_tree,
        write=write_categories,
        companions=companions_of,
        finish=place_restored,
    ),
    UndoRule(object="category-number"),
    UndoRule(object="product"),
)
