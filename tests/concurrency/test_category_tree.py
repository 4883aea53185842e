"""Races on the category tree, with real threads and commits."""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.db import connection

from catalog.api.trees import trees_json
from catalog.bodies import CategoryBody
from catalog.errors import (
    CategoryNotFound,
    InvalidCategory,
    InvalidReference,
    ParentNotFound,
    WouldCreateCycle,
)
from catalog.models import Category, CategoryAssignment, Product
from catalog.operations.assignments import assign_products_in_bulk
from catalog.operations.categories import (
    create_category,
    delete_category,
    edit_category,
    upsert_category,
)
from catalog.operations.products import delete_product
from catalog.representations import TREE_FIELDS
from catalog.tree_checks import bent_trees, tree_problems
from core.errors import DomainError
from core.json_types import JsonObject
from core.representation.fields import Languages
from core.tenancy.models import Tenant
from tests.concurrency.threads import at_once
from tests.factories.accounts import TenantFactory
from tests.factories.catalog import CategoryFactory, ProductFactory, category_body

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2024, 5, 14, 12, tzinfo=UTC)
WRITERS = 8
READERS = 2
STEPS = 30
REFUSALS = (CategoryNotFound, ParentNotFound, WouldCreateCycle)


def run_together(works: list[Callable[[], Any]]) -> list[Any]:
    """Run each in a thread with a connection of its own; an error of any is raised here."""

    def run(work: Callable[[], object]) -> object:
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return [future.result() for future in [threads.submit(run, work) for work in works]]


class Writer:
    """Inserts, moves, renames and deletes at random, and keeps the books of what it did.

    It moves and deletes everybody's categories, but renames only its own, which nobody deletes: so each
    rename can be looked for afterwards.
    """

    def __init__(self, tenant: Tenant, number: int) -> None:
        self.tenant, self.number = tenant, number
        self.dice = random.Random(number)
        self.books: Counter[str] = Counter()
        self.names: dict[str, str] = {}

    def work(self) -> None:
        for step in range(STEPS):
            act = self.dice.choice([self.insert, self.insert, self.move, self.rename, self.delete])
            try:
                act(step)
            except REFUSALS:
                self.books["refused"] += 1
            else:
                self.books[act.__name__] += 1

    def any_id(self) -> str | None:
        ids = list(Category.objects.filter(tenant=self.tenant).values_list("external_id", flat=True))
        return self.dice.choice([*ids, None])

    def insert(self, step: int) -> None:
        name = f"w{self.number}-{step}"
        create_category(
            tenant_id=self.tenant.pk,
            body=category_body(name, {"en": name}, parent_id=self.any_id()),
            at=AT,
        )
        self.names[name] = name

    def move(self, step: int) -> None:
        parent_id = self.any_id()

        def below_parent(category: Category) -> CategoryBody:
            return category_body(
                name=category.name,
                parent_id=parent_id,
                position=self.dice.randrange(5),
                mixins=category.mixins,
            )

        moved = self.any_id()
        if moved is not None:
            edit_category(tenant_id=self.tenant.pk, external_id=moved, edit=below_parent, at=AT)

    def rename(self, step: int) -> None:
        own = f"own-{self.number}"
        text = f"{self.dice.randrange(100)} of writer {self.number} in step {step}"

        def renamed(category: Category) -> CategoryBody:
            parent = category.parent.external_id if not category.is_root else None
            count = (category.mixins or {}).get("count", 0) + 1
            return category_body(name={"en": text}, parent_id=parent, mixins={"count": count})

        edit_category(tenant_id=self.tenant.pk, external_id=own, edit=renamed, at=AT)
        self.names[own] = text

    def delete(self, step: int) -> None:
        mine = [name for name in self.names if name.startswith(f"w{self.number}-")]
        if mine:
            chosen = self.dice.choice(mine)
            delete_category(tenant_id=self.tenant.pk, external_id=chosen, with_subcategories=False)
            del self.names[chosen]


def read_trees(tenant: Tenant) -> int:
    """Read all trees many times; each answer is a whole tree, in which every category is once."""
    largest = 0
    for _ in range(STEPS):
        text = trees_json(
            tenant_id=tenant.pk, fields=TREE_FIELDS, languages=Languages(), shows_unpublished=True
        )
        found = ids_of(orjson.loads(text))
        assert len(found) == len(set(found))
        assert {f"own-{number}" for number in range(WRITERS)} <= set(found)
        largest = max(largest, len(found))
    return largest


def ids_of(trees: list[JsonObject]) -> list[str]:
    return [found for tree in trees for found in (tree["id"], *ids_of(tree["subcategories"]))]


def found_tenants() -> list[Tenant]:
    """Make new tenants with a small tree each, while others write to theirs."""
    made = []
    for number in range(5):
        tenant = TenantFactory(name=f"founded{number}")
        top = CategoryFactory(tenant=tenant)
        CategoryFactory(parent=top)
        made.append(tenant)
    return made


def test_the_tree_is_sound_and_no_write_is_lost_whatever_the_interleaving(tenant: Tenant) -> None:
    for number in range(WRITERS):
        CategoryFactory(tenant=tenant, external_id=f"own-{number}", name={"en": "new"})
    writers = [Writer(tenant, number) for number in range(WRITERS)]

    results = run_together(
        [
            *(writer.work for writer in writers),
            *(lambda: read_trees(tenant) for _ in range(READERS)),
            found_tenants,
        ]
    )

    assert tree_problems(tenant.pk) == []
    assert bent_trees() == []
    stored = dict(Category.objects.filter(tenant=tenant).values_list("external_id", "name__en"))
    expected = {f"own-{number}": "new" for number in range(WRITERS)}
    for writer in writers:
        assert writer.books.total() == STEPS
        expected.update(writer.names)
        own = Category.objects.get(tenant=tenant, external_id=f"own-{writer.number}")
        assert (own.mixins or {}).get("count", 0) == writer.books["rename"]
    assert stored == expected
    for founded in results[-1]:
        assert Category.objects.filter(tenant=founded).count() == 2


def test_moving_two_categories_below_each_other_at_once_leaves_one_move(tenant: Tenant) -> None:
    for name in ("a", "b"):
        CategoryFactory(tenant=tenant, external_id=name)
    moves = iter([("a", "b"), ("b", "a")])

    def move() -> bool:
        name, parent = next(moves)
        return upsert_category(
            tenant_id=tenant.pk,
            body=category_body(name, {"en": name}, parent_id=parent),
            at=AT,
        )

    results = at_once(2, move)
    assert sorted(map(type, results), key=str) == sorted([bool, WouldCreateCycle], key=str)
    assert tree_problems(tenant.pk) == []
    assert sorted(Category.objects.filter(tenant=tenant).values_list("level", flat=True)) == [1, 2]


def test_the_first_categories_of_a_tenant_made_at_once_share_one_hidden_root(tenant: Tenant) -> None:
    names = iter("abcdefgh")

    def create() -> str:
        name = next(names)
        body = category_body(name, {"en": name})
        return create_category(tenant_id=tenant.pk, body=body, at=AT).external_id

    assert sorted(at_once(8, create)) == list("abcdefgh")
    assert Category.all_nodes.filter(tenant=tenant, parent=None).count() == 1
    assert sorted(Category.objects.filter(tenant=tenant).values_list("position", flat=True)) == list(range(8))
    assert tree_problems(tenant.pk) == []


def test_one_of_two_equal_codes_written_at_once_is_refused(tenant: Tenant) -> None:
    codes = iter(["Code", "code"])

    def create() -> str:
        body = category_body(name={"en": "A"}, code=next(codes))
        return create_category(tenant_id=tenant.pk, body=body, at=AT).external_id

    results = at_once(2, create)
    assert [isinstance(result, DomainError) for result in results].count(True) == 1
    assert Category.objects.filter(tenant=tenant).count() == 1


def test_assigning_and_deleting_at_once_neither_deadlocks_nor_leaves_anything(tenant: Tenant) -> None:
    """Bulk assignments of the same products race the deletion of subtrees and of products."""
    top = CategoryFactory(tenant=tenant, external_id="top")
    for number in range(6):
        CategoryFactory(parent=top, external_id=f"c{number}")
    products = [ProductFactory(tenant=tenant, external_id=f"p{number}").external_id for number in range(30)]

    def assign(number: int) -> None:
        dice = random.Random(number)
        for _ in range(10):
            try:
                results = assign_products_in_bulk(
                    tenant_id=tenant.pk,
                    category_id=f"c{dice.randrange(6)}",
                    products=dice.sample(products, 20),
                    at=AT,
                    may_exist=True,
                )
            except CategoryNotFound:
                continue
            assert {type(result.outcome.error) for result in results} <= {type(None), InvalidReference}

    def delete_categories() -> None:
        for number in (0, 2):
            delete_category(tenant_id=tenant.pk, external_id=f"c{number}", with_subcategories=True)

    def delete_products() -> None:
        for number in range(0, 30, 3):
            delete_product(tenant_id=tenant.pk, product_id=f"p{number}")

    run_together([*(lambda n=number: assign(n) for number in range(4)), delete_categories, delete_products])

    assert tree_problems(tenant.pk) == []
    assert Product.objects.filter(tenant=tenant).count() == 20
    left = CategoryAssignment.objects.filter(tenant=tenant).values_list(
        "category__external_id", "product__external_id"
    )
    assert {category for category, _ in left} <= {"c1", "c3", "c4", "c5"}
    assert not {product for _, product in left} & {f"p{number}" for number in range(0, 30, 3)}


def test_a_refused_write_leaves_the_tree_to_others(tenant: Tenant) -> None:
    CategoryFactory(tenant=tenant, external_id="a", code="taken")

    def create() -> str:
        body = category_body(name={"en": "B"}, code="taken")
        return create_category(tenant_id=tenant.pk, body=body, at=AT).external_id

    assert all(isinstance(result, DomainError) for result in at_once(4, create))
    with pytest.raises(InvalidCategory):
        upsert_category(tenant_id=tenant.pk, body=category_body("root"), at=AT)
    assert tree_problems(tenant.pk) == []
