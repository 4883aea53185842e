"""Whether the tree columns of categories describe the same tree as the parent column. Only reads."""

from dataclasses import dataclass

from catalog.tree import TABLE, NestedSetPosition, compute_nested_sets, sibling_order
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows


@dataclass(frozen=True, slots=True)
class TreeProblem:
    """A node whose tree columns disagree with the parent column, or whose siblings are in a wrong order."""

    category_id: str
    kind: str
    message: str


def tree_problems(tenant_id: int) -> list[TreeProblem]:
    """Return each node whose tree columns are not what the parent column and the sibling order say.

    One reading statement, no lock. Kinds: `cycle` (not joined to the root), `place` (`lft`, `rght`, `level`
    or `tree_id` describe another tree), `order` (the right tree, siblings in the wrong order).
    """
    rows = fetch_rows(
        sql(
            "SELECT node.id, node.external_id, node.parent_id, node.lft, node.rght, node.level, node.tree_id"
            " FROM {table} AS node WHERE node.tenant_id = {tenant} ORDER BY {order}",
            table=TABLE,
            tenant=param(tenant_id),
            order=sibling_order(param(tenant_id)),
        )
    )
    ordered = compute_nested_sets((row[0], row[2]) for row in rows)
    by_number = compute_nested_sets((row[0], row[2]) for row in sorted(rows, key=lambda row: row[3]))
    problems = []
    for key, external_id, _, lft, rght, level, tree_id in rows:
        stored = NestedSetPosition(lft, rght, level)
        if key not in ordered:
            problems.append(TreeProblem(external_id, "cycle", "hangs in a cycle, not below the root"))
        elif tree_id != tenant_id:
            problems.append(TreeProblem(external_id, "place", f"tree_id is {tree_id}, not {tenant_id}"))
        elif stored != ordered[key]:
            kind = "order" if stored == by_number[key] else "place"
            problems.append(TreeProblem(external_id, kind, _difference(stored, ordered[key])))
    return problems


def bent_trees() -> list[str]:
    """Return the names of the tenants whose tree columns describe another tree than the parent column.

    One reading statement over all tenants. It compares each node with its parent and its children: a child
    lies inside its parent, one level deeper; a node is as wide as its children and itself; no number is used
    twice. Together that leaves no other tree. The order of siblings is not checked: see `tree_problems`.
    """
    statement = sql(
        """
        WITH children AS (
            SELECT parent_id, sum(rght - lft + 1) AS width FROM {table} GROUP BY parent_id
        ), numbers AS (
            SELECT tenant_id, number FROM {table}, unnest(ARRAY[lft, rght]) AS number
            GROUP BY tenant_id, number HAVING count(*) > 1
        ), bent AS (
            SELECT node.tenant_id FROM {table} AS node
            LEFT JOIN {table} AS parent ON parent.id = node.parent_id
            LEFT JOIN children ON children.parent_id = node.id
            WHERE node.tree_id <> node.tenant_id
                OR node.rght - node.lft + 1 <> 2 + coalesce(children.width, 0)
                OR CASE WHEN parent.id IS NULL THEN node.lft <> 1 OR node.level <> 0
                    ELSE node.lft <= parent.lft OR node.rght >= parent.rght OR node.level <> parent.level + 1
                    END
            UNION SELECT tenant_id FROM numbers
        )
        SELECT name FROM tenancy_tenant WHERE id IN (SELECT tenant_id FROM bent) ORDER BY name
        """,
        table=TABLE,
    )
    return [name for (name,) in fetch_rows(statement)]


def _difference(stored: NestedSetPosition, right: NestedSetPosition) -> str:
    return ", ".join(
        f"{name} is {getattr(stored, name)}, not {getattr(right, name)}"
        for name in ("lft", "rght", "level")
        if getattr(stored, name) != getattr(right, name)
    )
