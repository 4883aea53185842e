"""Random sequences of operations, played on the service and on a plain-Python forest, compared after each."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson
import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from catalog.api.trees import trees_json
from catalog.errors import InvalidCategory, WouldCreateCycle
from catalog.models import Category
from catalog.operations.categories import (
    create_category,
    delete_category,
    move_category_beside,
    publish_categories,
    rebuild_tree,
    upsert_category,
)
from catalog.operations.category_imports import upsert_categories_in_bulk
from catalog.representations import TREE_FIELDS
from catalog.subtrees import ancestors, descendants
from catalog.tree_checks import bent_trees, tree_problems
from core.json_types import JsonObject
from core.representation.fields import Languages
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from tests.factories.accounts import TenantFactory
from tests.factories.catalog import category_body

AT = datetime(2024, 5, 14, 12, tzinfo=UTC)
NAMES = st.sampled_from(["Apples", "bread", "Cheese", "apples"])
POSITIONS = st.none() | st.integers(min_value=0, max_value=4)
SIDES = st.sampled_from(["left", "right", "first-child", "last-child"])


@dataclass
class Node:
    """A category as the rules see it."""

    id: str
    age: int
    name: str
    position: int
    is_published: bool
    children: list["Node"] = field(default_factory=list)

    @property
    def order(self) -> tuple[int, str, int]:
        return self.position, self.name.lower(), self.age

    def all(self) -> list["Node"]:
        return [self, *(found for child in self.children for found in child.all())]


class Forest:
    """The same rules without a database: only lists of children."""

    def __init__(self) -> None:
        self.root = Node("/", 0, "", 0, True)
        self.age = 0

    def find(self, name: str) -> Node | None:
        return next((node for node in self.root.all() if node.id == name and node is not self.root), None)

    def parent_of(self, node: Node) -> Node:
        return next(candidate for candidate in self.root.all() if node in candidate.children)

    def last(self, parent: Node, without: Node | None = None) -> int:
        return max((child.position + 1 for child in parent.children if child is not without), default=0)

    def add(self, name: str, parent: Node, label: str, position: int | None, is_published: bool) -> None:
        self.age += 1
        place = self.last(parent) if position is None else position
        parent.children.append(Node(name, self.age, label, place, is_published))
        self.sort(parent)

    def change(self, node: Node, parent: Node, label: str, position: int | None) -> None:
        old = self.parent_of(node)
        if position is not None:
            node.position = position
        elif old is not parent:
            node.position = self.last(parent)
        node.name = label
        old.children.remove(node)
        parent.children.append(node)
        self.sort(parent)

    def delete(self, node: Node, *, with_subcategories: bool) -> None:
        self.parent_of(node).children.remove(node)
        if not with_subcategories:
            self.root.children += node.children
            self.sort(self.root)

    def sort(self, parent: Node) -> None:
        parent.children.sort(key=lambda child: child.order)

    def drop(self, node: Node, target: Node, side: str) -> None:
        """Put the node where it was dropped and let positions say so: the list is what counts."""
        parent = self.parent_of(target) if side in ("left", "right") else target
        self.parent_of(node).children.remove(node)
        siblings = parent.children
        if side == "first-child":
            index = 0
        elif side == "last-child":
            index = len(siblings)
        else:
            index = siblings.index(target) + (side == "right")
        siblings.insert(index, node)

    def outline(self, node: Node, *, shows_unpublished: bool) -> list[object]:
        return [
            (child.id, self.outline(child, shows_unpublished=shows_unpublished))
            for child in node.children
            if shows_unpublished or child.is_published
        ]


def outline_of(trees: list[JsonObject]) -> list[object]:
    return [(tree["id"], outline_of(tree["subcategories"])) for tree in trees]


class CategoryTreeMachine(RuleBasedStateMachine):
    """What people do to a forest. Ids of deleted categories stay in the bundle: they must be harmless."""

    ids = Bundle("ids")

    @initialize()
    def start(self) -> None:
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.tenant: Tenant = TenantFactory()
        self.forest = Forest()
        self.count = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.savepoint.__exit__(None, None, None)

    def node(self, name: str) -> Node | None:
        return self.forest.find(name)

    @rule(target=ids, parent=ids | st.none(), label=NAMES, position=POSITIONS, is_published=st.booleans())
    def create(self, parent: str | None, label: str, position: int | None, is_published: bool) -> str:
        self.count += 1
        name = f"c{self.count}"
        above = self.forest.root if parent is None else self.node(parent)
        body = category_body(
            name, {"en": label}, parent_id=parent, position=position, is_published=is_published
        )
        if above is None:
            with pytest.raises(InvalidCategory):
                create_category(tenant_id=self.tenant.pk, body=body, at=AT)
            return name
        create_category(tenant_id=self.tenant.pk, body=body, at=AT)
        self.forest.add(name, above, label, position, is_published)
        return name

    @rule(name=ids, parent=ids | st.none(), label=NAMES, position=POSITIONS)
    def change(self, name: str, parent: str | None, label: str, position: int | None) -> None:
        node = self.node(name)
        above = self.forest.root if parent is None else self.node(parent)
        if node is None:
            return
        body = category_body(
            name, {"en": label}, parent_id=parent, position=position, is_published=node.is_published
        )
        if above is None or above in node.all():
            with pytest.raises(InvalidCategory):
                upsert_category(tenant_id=self.tenant.pk, body=body, at=AT)
            return
        upsert_category(tenant_id=self.tenant.pk, body=body, at=AT)
        self.forest.change(node, above, label, position)

    @rule(name=ids, beside=ids, side=SIDES)
    def drop(self, name: str, beside: str, side: str) -> None:
        node, other = self.node(name), self.node(beside)
        if node is None or other is None or node is other:
            return
        arguments = {"tenant_id": self.tenant.pk, "category_id": name, "target_id": beside, "side": side}
        if other in node.all():
            with pytest.raises(WouldCreateCycle):
                move_category_beside(**arguments, at=AT)  # type: ignore[arg-type]
            return
        move_category_beside(**arguments, at=AT)  # type: ignore[arg-type]
        self.forest.drop(node, other, side)
        positions = dict(Category.objects.filter(tenant=self.tenant).values_list("external_id", "position"))
        for known in self.forest.root.all()[1:]:
            known.position = positions[known.id]
        for known in self.forest.root.all():  # only the positions keep it where it was dropped
            assert known.children == sorted(known.children, key=lambda child: child.order)

    @rule(name=ids, with_subcategories=st.booleans())
    def delete(self, name: str, with_subcategories: bool) -> None:
        node = self.node(name)
        if node is None:
            return
        delete_category(tenant_id=self.tenant.pk, external_id=name, with_subcategories=with_subcategories)
        self.forest.delete(node, with_subcategories=with_subcategories)

    @rule(name=ids, is_published=st.booleans())
    def publish(self, name: str, is_published: bool) -> None:
        node = self.node(name)
        if node is None:
            return
        key = Category.objects.get(tenant=self.tenant, external_id=name).pk
        publish_categories(tenant_id=self.tenant.pk, category_ids=[key], is_published=is_published, at=AT)
        node.is_published = is_published

    @rule(target=ids, parent=ids | st.none(), label=NAMES, moved=ids)
    def load(self, parent: str | None, label: str, moved: str) -> str:
        """A bulk of a new category and an old one that goes below it, the child before its parent."""
        self.count += 1
        name = f"c{self.count}"
        above = self.forest.root if parent is None else self.node(parent)
        old = self.node(moved)
        rows = [category_body(external_id=name, name={"en": label}, parent_id=parent)]
        if old is not None:
            rows.insert(
                0,
                category_body(
                    external_id=moved,
                    name={"en": old.name},
                    parent_id=name,
                    is_published=old.is_published,
                ),
            )
        outcomes = upsert_categories_in_bulk(tenant_id=self.tenant.pk, rows=rows, at=AT)
        if above is None or (old is not None and above in old.all()):
            assert all(outcome.error for outcome in outcomes)
            return name
        assert not any(outcome.error for outcome in outcomes)
        if old is not None:  # "last" means last after the whole batch
            self.forest.parent_of(old).children.remove(old)
        self.forest.add(name, above, label, None, True)
        if old is not None:
            made = self.forest.find(name)
            assert made is not None
            made.children.append(old)
        return name

    @rule()
    def rebuild(self) -> None:
        roots = self.forest.root.children
        if roots:
            assert rebuild_tree(tenant_id=self.tenant.pk, root_id=roots[0].id) == 0

    @invariant()
    def reads_agree(self) -> None:
        if not hasattr(self, "forest"):
            return
        assert tree_problems(self.tenant.pk) == []
        assert bent_trees() == []
        for shows_unpublished in (True, False):
            text = trees_json(
                tenant_id=self.tenant.pk,
                fields=TREE_FIELDS,
                languages=Languages(),
                shows_unpublished=shows_unpublished,
            )
            expected = self.forest.outline(self.forest.root, shows_unpublished=shows_unpublished)
            assert outline_of(orjson.loads(text)) == expected
        keys = dict(Category.all_nodes.filter(tenant=self.tenant).values_list("external_id", "pk"))
        names = {key: name for name, key in keys.items()}
        for node in self.forest.root.all()[1:]:
            below = read(descendants(Sql("%s", (keys[node.id],)), shows_unpublished=True), names)
            assert below == {found.id for found in node.all()} - {node.id}
        for node in self.forest.root.children:
            for child in node.children:
                assert read(ancestors(Sql("%s", (keys[child.id],))), names) == {"/", node.id}


def read(selection: Sql, names: dict[int, str]) -> set[str]:
    return {names[row[0]] for row in fetch_rows(selection)}


CategoryTreeMachine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.django_db
class TestCategoryTree(CategoryTreeMachine.TestCase):
    """Each example runs in a savepoint that is rolled back."""
