"""The one writer of the category tree's structure: `parent`, `lft`, `rght`, `level` and `tree_id`.

A tenant's forest hangs below one hidden root (level 0) and is a nested set without gaps, numbered from 1;
`tree_id` is the tenant's key. In `lft`, siblings are as clients see them: by `position`, then by name in the
tenant's default language, then by age. Whoever writes holds the tenant's tree lock, taken by `locked_tree`
before anything is read, so what is read stays true until the transaction ends. Each method is a bounded
number of set-based statements, whatever the size of the forest. See docs/category-tree.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import F, Max, OuterRef, Value
from django.db.models.functions import NullIf
from psycopg.types.json import Jsonb

from catalog.bodies import LARGEST_POSITION, MOST_LEVELS
from catalog.errors import (
    MOST_CATEGORIES,
    CategoriesTooLarge,
    CategoryNotFound,
    ParentNotFound,
    TooDeep,
    TooManyToDelete,
    WouldCreateCycle,
)
from catalog.models import HIDDEN_ROOT_ID, STRUCTURE, Category, CategoryNumber
from catalog.subtrees import subtrees
from core.errors import MOST_DELETED_ALONG
from core.model_fields import concrete_field
from core.sql.composition import Sql, composed_once, identifier, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.locks import Lock, take_lock

TABLE = identifier(Category._meta.db_table)
FOUND = Category.objects.select_related("parent").annotate(
    stored_parent=NullIf(F("parent__external_id"), Value(HIDDEN_ROOT_ID)),
    stored_numbers=ArraySubquery(CategoryNumber.objects.filter(category=OuterRef("pk")).values("value")),
)
"""A category as writes need it. Composed once, and read by `LockedTree.find`."""


@dataclass(frozen=True, slots=True)
class NestedSetPosition:
    """The position of a node in its tree: its nested-set numbers and its depth below the hidden root."""

    lft: int
    rght: int
    level: int


def sibling_order(tenant: Sql) -> Sql:
    """Return the expression that orders the table `node` among its siblings."""
    return sql("(node.position, {name}, node.id)", name=name_key(tenant, translations=Sql("node.name")))


def name_key(tenant: Sql, *, translations: Sql) -> Sql:
    """Return the expression of a name in the tenant's default language, as siblings are ordered by it."""
    return sql(
        "lower(coalesce({translations} ->>"
        " (SELECT default_language FROM tenancy_tenant WHERE id = {tenant}), ''))"
        ' COLLATE "C"',
        translations=translations,
        tenant=tenant,
    )


@composed_once
def place_statement(
    *, keys: Sql, tenant: Sql, parent: Sql, category: Sql, position: Sql, name: Sql, age: Sql
) -> Sql:
    """Return the statement that reads where categories are, and the sibling in front of which one belongs."""
    return sql(
        "SELECT stored.id, stored.parent_id, stored.lft, stored.rght, stored.level,"
        " (SELECT min(node.lft) FROM {table} AS node"
        " WHERE node.tenant_id = {tenant} AND node.parent_id = {parent}"
        " AND node.id IS DISTINCT FROM {category} AND {order} > ({position}, {name}, {age}))"
        " FROM {table} AS stored WHERE stored.id = ANY({keys})",
        table=TABLE,
        keys=keys,
        tenant=tenant,
        parent=parent,
        category=category,
        order=sibling_order(tenant),
        position=position,
        name=name_key(tenant, translations=name),
        age=age,
    )


def stored_value(category: Category, name: str) -> Sql:
    """Return the part of a SET that gives the category its value of a field, and others their own."""
    field = concrete_field(Category, name)
    return sql(
        "{column} = CASE WHEN id = {category} THEN {value} ELSE {column} END, ",
        column=identifier(field.column),
        category=param(category.pk),
        value=param(field.get_db_prep_save(getattr(category, field.attname), connection)),
    )


def locked_tree(tenant_id: int) -> "LockedTree":
    """Wait for the tenant's tree lock, hold it until commit, and return the tree to write to.

    The first statement of every transaction that writes categories.
    """
    take_lock(Lock.CATEGORY_TREE, tenant_id)
    return LockedTree(tenant_id)


class LockedTree:
    """A tenant's category tree while its lock is held. Categories passed in were read under the lock."""

    def __init__(self, tenant_id: int) -> None:
        self.tenant_id = tenant_id

    # Reading under the lock

    @cached_property
    def root(self) -> Category:
        """The hidden root, which is made when the tenant has none yet."""
        root = Category.all_nodes.filter(tenant=self.tenant_id, parent=None).first()
        if root is None:
            root = Category(
                tenant_id=self.tenant_id,
                external_id=HIDDEN_ROOT_ID,
                version=0,
                lft=1,
                rght=2,
                level=0,
                tree_id=self.tenant_id,
            )
            root.save_base(raw=True, force_insert=True)
        return root

    def find(self, external_id: str | None) -> Category | None:
        """Return the category with its parent and what FOUND reads along; None when there is none."""
        found: Category | None = FOUND.filter(tenant=self.tenant_id, external_id=external_id).first()
        return found

    def category(self, external_id: str) -> Category:
        """As `find`; raise CategoryNotFound."""
        category = self.find(external_id)
        if category is None:
            raise CategoryNotFound(external_id)
        return category

    def parent(self, external_id: str | None, *, child: Category | None = None) -> Category:
        """Return the category that may become a parent, the hidden root for None; raise ParentNotFound.

        The present parent of the `child`, which `find` has read, is not read again.
        """
        if child is not None and external_id == child.stored_parent:
            present: Category = child.parent
            return present
        if external_id is None:
            return self.root
        found = Category.objects.filter(tenant=self.tenant_id, external_id=external_id).first()
        if found is None:
            raise ParentNotFound(external_id)
        return found

    def last_position(self, parent: Category, *, without: Category | None = None) -> int:
        """Return the position that follows those of all children (without one of them)."""
        children = Category.objects.filter(tenant=self.tenant_id, parent=parent.pk)
        if without is not None:
            children = children.exclude(pk=without.pk)
        last = children.order_by("-position").values_list("position", flat=True).first()
        return 0 if last is None else min(last + 1, LARGEST_POSITION)

    # Writing

    def insert(self, category: Category, *, parent: Category) -> None:
        """Store the new category below the parent, where position and name put it; raise TooDeep."""
        place = self._place_among(category, parent)
        if parent.level >= MOST_LEVELS:
            raise TooDeep(MOST_LEVELS)
        self._shift(place, 2)
        category.parent_id = parent.pk
        category.tree_id = self.tenant_id
        category.lft, category.rght, category.level = place, place + 1, parent.level + 1
        category.save_base(raw=True, force_insert=True)

    def update(self, category: Category, *, parent: Category, fields: Iterable[str]) -> None:
        """Store the fields, and move the category with its subtree to where parent, position and name put it.

        Raises WouldCreateCycle when the parent is the category itself or one of its descendants, and TooDeep
        when the move would put one of them too deep. Without a field that places the category, it stays.
        """
        if parent.pk == category.parent_id and STRUCTURE.isdisjoint(fields):
            category.save_base(raw=True, force_update=True, update_fields=frozenset(fields))
            return
        place = self._place_among(category, parent)
        if category.lft <= parent.lft <= category.rght:
            raise WouldCreateCycle(category.external_id, parent.external_id)
        if parent.level >= category.level and parent.level + 1 + self._depth_below(category) > MOST_LEVELS:
            raise TooDeep(MOST_LEVELS)
        if parent.pk != category.parent_id or place != category.rght + 1:
            self._move(category, parent, place, fields)
        else:
            category.save_base(raw=True, force_update=True, update_fields=frozenset(fields))

    def delete(self, category: Category) -> None:
        """Delete the category and all its descendants, with all that refers to them.

        Raises TooManyToDelete and CategoriesTooLarge.
        """
        category.refresh_from_db(fields=["lft", "rght"])
        self._delete(
            sql(
                "tree_id = {tree} AND lft BETWEEN {first} AND {last}",
                tree=param(self.tenant_id),
                first=param(category.lft),
                last=param(category.rght),
            ),
            most=MOST_CATEGORIES,
        )
        self._shift(category.lft, category.lft - category.rght - 1)

    def delete_all(self, keys: Sequence[int]) -> None:
        """Delete the categories of these keys and all their descendants, with all that refers to them.

        Raises TooManyToDelete and CategoriesTooLarge.
        """
        self._delete(
            sql("tree_id = {tree} AND id IN ({keys})", tree=param(self.tenant_id), keys=subtrees(keys)),
            most=MOST_CATEGORIES,
        )
        self.place_forest()

    def delete_only(self, keys: Sequence[int]) -> None:
        """Delete the categories of these keys; their children become root categories with whole subtrees.

        However many there are: imports, which name each, bound their batches by time.
        """
        tenant, chosen = param(self.tenant_id), param(list(keys))
        execute(
            sql(
                "UPDATE {table} SET parent_id = {root} WHERE tenant_id = {tenant}"
                " AND parent_id = ANY({keys}) AND NOT id = ANY({keys})",
                table=TABLE,
                root=param(self.root.pk),
                tenant=tenant,
                keys=chosen,
            )
        )
        self._delete(sql("tree_id = {tree} AND id = ANY({keys})", tree=tenant, keys=chosen), most=len(keys))
        self.place_forest()

    def place_beside(self, category: Category, *, target: Category, side: str) -> list[int]:
        """Give the category the position left or right of the target, among its siblings.

        Siblings that follow move up as far as is needed and no further. Returns the keys of those siblings,
        whose version the caller counts up; `category.position` is set, not stored.
        """
        siblings = list(
            Category.objects.filter(tenant=self.tenant_id, parent=target.parent_id)
            .exclude(pk=category.pk)
            .order_by("lft")
            .values_list("pk", "position")
        )
        keys = [key for key, _ in siblings]
        index = keys.index(target.pk) + (side == "right")
        position = siblings[index - 1][1] + 1 if index else max(siblings[0][1] - 1, 0)
        category.position = last = position
        moved: list[tuple[int, int]] = []
        for key, held in siblings[index:]:
            if held > last:
                break
            last += 1
            moved.append((key, last))
        if moved:
            execute(
                sql(
                    "UPDATE {table} AS node SET position = given.position"
                    " FROM unnest({keys}, {positions}) AS given (id, position) WHERE node.id = given.id",
                    table=TABLE,
                    keys=param([key for key, _ in moved], "bigint[]"),
                    positions=param([place for _, place in moved], "integer[]"),
                )
            )
        return [key for key, _ in moved]

    def place_forest(self) -> int:
        """Compute the tree columns of the whole forest from the parent column, and say how many were wrong.

        A bounded number of statements and one pass. Raises ValueError naming nodes that no path of parents
        joins to the root: whoever writes parents in bulk refuses cycles before.
        """
        rows = fetch_rows(
            sql(
                "SELECT node.id, node.parent_id, node.lft, node.rght, node.level, node.tree_id"
                " FROM {table} AS node WHERE node.tenant_id = {tenant} ORDER BY {order}",
                table=TABLE,
                tenant=param(self.tenant_id),
                order=sibling_order(param(self.tenant_id)),
            )
        )
        places = compute_nested_sets((row[0], row[1]) for row in rows)
        if len(places) < len(rows):
            lost = sorted(row[0] for row in rows if row[0] not in places)
            raise ValueError(f"These categories hang in a cycle: {lost[:20]}")
        wrong = [
            (key, place)
            for key, _, lft, rght, level, tree_id in rows
            if (place := places[key]) != NestedSetPosition(lft, rght, level) or tree_id != self.tenant_id
        ]
        if wrong:
            with hash_joins():
                execute(
                    sql(
                        "UPDATE {table} AS node SET lft = given.lft, rght = given.rght, level = given.level,"
                        " tree_id = node.tenant_id FROM unnest({keys}, {lft}, {rght}, {level})"
                        " AS given (id, lft, rght, level)"
                        " WHERE node.id = given.id AND node.tenant_id = {tenant}",
                        table=TABLE,
                        keys=param([key for key, _ in wrong], "bigint[]"),
                        lft=param([place.lft for _, place in wrong], "integer[]"),
                        rght=param([place.rght for _, place in wrong], "integer[]"),
                        level=param([place.level for _, place in wrong], "integer[]"),
                        tenant=param(self.tenant_id),
                    )
                )
        if "root" in self.__dict__:  # it has been read, and may be the parent of what is written next
            self.root.refresh_from_db()
        return len(wrong)

    def place_written(self, keys: Sequence[int]) -> None:
        """Place categories that were written past the other methods; raise WouldCreateCycle and TooDeep."""
        try:
            self.place_forest()
        except ValueError:
            written = Category.objects.filter(tenant=self.tenant_id, pk__in=keys)
            moved = written.select_related("parent").order_by("pk")[0]
            raise WouldCreateCycle(moved.external_id, moved.parent.external_id) from None
        self.refuse_too_deep()

    def refuse_too_deep(self) -> None:
        """Raise TooDeep when a category is further down than any may be."""
        deepest = Category.objects.filter(tenant=self.tenant_id).aggregate(deepest=Max("level"))["deepest"]
        if deepest is not None and deepest > MOST_LEVELS:
            raise TooDeep(MOST_LEVELS)

    def break_cycles(self) -> list[str]:
        """Make one category of each cycle of parents a root category, and return their ids.

        No operation closes a cycle; this repairs what was written past all of them.
        """
        rows = fetch_rows(
            sql(
                "SELECT id, parent_id, external_id FROM {table} WHERE tenant_id = {tenant} ORDER BY id",
                table=TABLE,
                tenant=param(self.tenant_id),
            )
        )
        parents = {key: parent for key, parent, _ in rows}
        safe: set[int | None] = {None}
        lifted: list[int] = []
        for start in parents:
            path: dict[int | None, None] = {}
            key: int | None = start
            while key not in safe and key not in path:
                path[key] = None
                key = parents[key] if key is not None else None
            if key is not None and key not in safe:
                lifted.append(key)
            safe.update(path)
        if lifted:
            execute(
                sql(
                    "UPDATE {table} SET parent_id = {root} WHERE tenant_id = {tenant} AND id = ANY({keys})",
                    table=TABLE,
                    root=param(self.root.pk),
                    tenant=param(self.tenant_id),
                    keys=param(lifted),
                )
            )
        return [external_id for key, _, external_id in rows if key in set(lifted)]

    def _place_among(self, category: Category, parent: Category) -> int:
        """Return the `lft` in front of which the category belongs among the children of the parent.

        Reads in the same statement where both are now: an earlier write of this transaction may have moved
        them. A category that is not stored yet is the youngest.
        """
        statement = place_statement(
            keys=param([node.pk for node in (category, parent) if node.pk], "bigint[]"),
            tenant=param(self.tenant_id),
            parent=param(parent.pk),
            category=param(category.pk),
            position=param(category.position),
            name=param(Jsonb(category.name), "jsonb"),
            age=param(category.pk or 9_223_372_036_854_775_807),
        )
        rows = fetch_rows(statement)
        for node in (category, parent):
            for key, *read in rows:
                if key == node.pk:
                    node.parent_id, node.lft, node.rght, node.level, place = read
        return parent.rght if place is None else place

    def _depth_below(self, category: Category) -> int:
        """Return how many levels the category has below it."""
        deepest = category.get_descendants().aggregate(deepest=Max("level"))["deepest"]
        return 0 if deepest is None else deepest - category.level

    def _shift(self, place: int, width: int) -> None:
        """Make room in front of `place` (or close a gap that begins there, when the width is negative)."""
        execute(
            sql(
                "UPDATE {table} SET lft = CASE WHEN lft >= {place} THEN lft + {width} ELSE lft END,"
                " rght = rght + {width} WHERE tree_id = {tree} AND rght >= {place}",
                table=TABLE,
                place=param(place),
                width=param(width),
                tree=param(self.tenant_id),
            )
        )

    def _move(self, category: Category, parent: Category, place: int, fields: Iterable[str]) -> None:
        """Move the subtree in front of `place` and below the parent, and store the fields, in one statement.

        So triggers run once for a move, and it is one change.
        """
        lft, rght = category.lft, category.rght
        width = rght - lft + 1
        if place > rght:
            distance, gap, first, last = place - rght - 1, -width, rght + 1, place - 1
        else:
            distance, gap, first, last = place - lft, width, place, lft - 1
        numbers = {
            "lft": lft,
            "rght": rght,
            "distance": distance,
            "gap": gap,
            "first": first,
            "last": last,
            "least": min(lft, first),
            "most": max(rght, last),
            "deeper": parent.level + 1 - category.level,
            "category": category.pk,
            "parent": parent.pk,
            "tree": self.tenant_id,
        }
        statement = sql(
            """
            UPDATE {table} SET {stored}
                level = CASE WHEN lft BETWEEN {lft} AND {rght} THEN level + {deeper} ELSE level END,
                parent_id = CASE WHEN id = {category} THEN {parent} ELSE parent_id END,
                lft = CASE WHEN lft BETWEEN {lft} AND {rght} THEN lft + {distance}
                    WHEN lft BETWEEN {first} AND {last} THEN lft + {gap} ELSE lft END,
                rght = CASE WHEN rght BETWEEN {lft} AND {rght} THEN rght + {distance}
                    WHEN rght BETWEEN {first} AND {last} THEN rght + {gap} ELSE rght END
            WHERE tree_id = {tree}
                AND (lft BETWEEN {least} AND {most} OR rght BETWEEN {least} AND {most})
            """,
            table=TABLE,
            stored=Sql.joined("", [stored_value(category, name) for name in fields]),
            **{name: param(number) for name, number in numbers.items()},
        )
        execute(statement)
        category.parent_id = parent.pk
        category.refresh_from_db(fields=["parent", "lft", "rght", "level"])

    def _delete(self, condition: Sql, *, most: int) -> None:
        """Delete the categories; the database's cascades delete what refers to them.

        Categories are locked before their assignments, and both in key order, as operations that assign or
        delete a product do: they wait for each other without a deadlock. Raises TooManyToDelete when there
        are more of them, and CategoriesTooLarge when more products are in them than are deleted along.
        """
        chosen = sql("SELECT id FROM {table} WHERE {condition}", table=TABLE, condition=condition)
        locked = execute(
            sql("{chosen} ORDER BY id LIMIT {most} FOR UPDATE", chosen=chosen, most=param(most + 1))
        )
        if locked > most:
            raise TooManyToDelete
        assigned = execute(
            sql(
                "SELECT 1 FROM catalog_categoryassignment"
                " WHERE category_id IN ({chosen}) AND tenant_id = {tenant}"
                " ORDER BY id LIMIT {most} FOR UPDATE",
                chosen=chosen,
                tenant=param(self.tenant_id),
                most=param(MOST_DELETED_ALONG + 1),
            )
        )
        if assigned > MOST_DELETED_ALONG:
            raise CategoriesTooLarge
        execute(sql("DELETE FROM {table} WHERE {condition}", table=TABLE, condition=condition))


@contextmanager
def hash_joins() -> Iterator[None]:
    """Keep PostgreSQL from nested loops over a table that it believes to be empty, as after the first load.

    Such a plan takes minutes for 50,000 rows. For statements that join many given rows to one tenant's.
    """
    execute(Sql("SET LOCAL enable_nestloop = off"))
    yield
    execute(Sql("SET LOCAL enable_nestloop = on"))


def compute_nested_sets(nodes: Iterable[tuple[int, int | None]]) -> dict[int, NestedSetPosition]:
    """Return the position of each node below the root, given (key, parent's key) in sibling order."""
    children: dict[int | None, list[int]] = {}
    for key, parent in nodes:
        children.setdefault(parent, []).append(key)
    places: dict[int, NestedSetPosition] = {}
    number = 0
    opened: list[tuple[int, int]] = []  # (key, lft) of the nodes on the way down
    waiting = [iter(children.get(None, ()))]
    while waiting:
        child = next(waiting[-1], None)
        number += 1
        if child is not None:
            opened.append((child, number))
            waiting.append(iter(children.get(child, ())))
            continue
        waiting.pop()
        if opened:
            closed, lft = opened.pop()
            places[closed] = NestedSetPosition(lft, number, len(opened))
    return places
