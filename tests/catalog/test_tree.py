import random
from datetime import datetime

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from catalog.errors import CategoryNotFound, ParentNotFound, TooDeep, WouldCreateCycle
from catalog.models import Category, CategoryNumber, DirectTreeWriteError
from catalog.operations.categories import (
    create_category,
    delete_category,
    move_category_beside,
    upsert_category,
)
from catalog.operations.category_imports import upsert_categories_in_bulk
from catalog.tree import NestedSetPosition, compute_nested_sets, locked_tree
from catalog.tree_checks import tree_problems
from core.tenancy.models import Tenant
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, category_body

pytestmark = pytest.mark.django_db


def outline(tenant: Tenant) -> list[str]:
    """The tenant's forest in the order of `lft`, a dot for each level below the roots."""
    assert tree_problems(tenant.pk) == []
    rows = Category.objects.filter(tenant=tenant).order_by("lft").values_list("external_id", "level")
    return ["." * (level - 1) + name for name, level in rows]


def test_nested_set_numbers_of_a_small_forest() -> None:
    assert compute_nested_sets([(1, None), (2, 1), (3, 1), (4, 2), (5, 2)]) == {
        1: NestedSetPosition(1, 10, 0),
        2: NestedSetPosition(2, 7, 1),
        4: NestedSetPosition(3, 4, 2),
        5: NestedSetPosition(5, 6, 2),
        3: NestedSetPosition(8, 9, 1),
    }


def test_nodes_of_a_circle_get_no_place() -> None:
    assert set(compute_nested_sets([(1, None), (2, 3), (3, 2), (4, 1)])) == {1, 4}


def test_children_stand_below_their_parent_in_order_of_position_then_name(tenant: Tenant) -> None:
    root = CategoryFactory(tenant=tenant, external_id="root-a")
    for name, position in [("b", 5), ("a", 5), ("c", 1)]:
        CategoryFactory(parent=root, external_id=name, name={"en": name}, position=position)
    CategoryFactory(tenant=tenant, external_id="root-b")
    assert outline(tenant) == ["root-a", ".c", ".a", ".b", "root-b"]


def test_position_absent_is_last_among_siblings(tenant: Tenant, now: datetime) -> None:
    CategoryFactory(tenant=tenant, external_id="first", position=7)
    made = create_category(tenant_id=tenant.pk, body=category_body("second", {"en": "A"}), at=now)
    assert made.position == 8
    assert outline(tenant) == ["first", "second"]


def test_tenants_have_trees_of_their_own(tenant: Tenant, other_tenant: Tenant) -> None:
    CategoryFactory(tenant=tenant, external_id="a")
    CategoryFactory(tenant=other_tenant, external_id="a")
    CategoryFactory(tenant=other_tenant, external_id="b")
    assert outline(tenant) == ["a"]
    assert outline(other_tenant) == ["a", "b"]
    assert set(Category.objects.filter(tenant=tenant).values_list("tree_id", flat=True)) == {tenant.pk}


def test_the_hidden_root_is_no_category(tenant: Tenant) -> None:
    CategoryFactory(tenant=tenant)
    assert Category.all_nodes.filter(tenant=tenant).count() == 2
    assert Category.objects.filter(tenant=tenant).count() == 1
    with pytest.raises(CategoryNotFound):
        delete_category(tenant_id=tenant.pk, external_id="/", with_subcategories=True)


def test_moving_a_category_moves_its_subtree(tenant: Tenant, now: datetime) -> None:
    left, right = CategoryFactory.create_batch(2, tenant=tenant)
    child = CategoryFactory(parent=left)
    leaf = CategoryFactory(parent=child)
    upsert_category(
        tenant_id=tenant.pk,
        body=category_body(child.external_id, child.name, parent_id=right.external_id),
        at=now,
    )
    assert outline(tenant) == [
        left.external_id,
        right.external_id,
        f".{child.external_id}",
        f"..{leaf.external_id}",
    ]


@pytest.mark.parametrize("target", ["self", "child", "leaf"])
def test_moving_under_itself_or_a_descendant_is_refused(tenant: Tenant, now: datetime, target: str) -> None:
    category = CategoryFactory(tenant=tenant, external_id="self")
    child = CategoryFactory(parent=category, external_id="child")
    CategoryFactory(parent=child, external_id="leaf")
    with pytest.raises(WouldCreateCycle):
        upsert_category(
            tenant_id=tenant.pk,
            body=category_body("self", name={"en": "Changed"}, parent_id=target),
            at=now,
        )
    assert outline(tenant) == ["self", ".child", "..leaf"]
    category.refresh_from_db()
    assert (category.name, category.version) == ({"en": "Category self"}, 0)


def test_unknown_parent_and_parent_of_another_tenant_are_refused(
    tenant: Tenant, other_tenant: Tenant, now: datetime
) -> None:
    CategoryFactory(tenant=other_tenant, external_id="theirs")
    for parent_id in ("nothing", "theirs"):
        with pytest.raises(ParentNotFound):
            create_category(
                tenant_id=tenant.pk,
                body=category_body("new", name={"en": "New"}, parent_id=parent_id),
                at=now,
            )
    assert outline(tenant) == []


def test_renaming_reorders_siblings_of_one_position(tenant: Tenant, now: datetime) -> None:
    for name in ("a", "b", "c"):
        CategoryFactory(tenant=tenant, external_id=name, name={"en": name}, position=0)
    upsert_category(tenant_id=tenant.pk, body=category_body("a", {"en": "z"}, position=0), at=now)
    assert outline(tenant) == ["b", "c", "a"]


def test_deleting_with_subcategories_takes_the_subtree_and_its_assignments(tenant: Tenant) -> None:
    root = CategoryFactory(tenant=tenant, external_id="root-a")
    child = CategoryFactory(parent=root, external_id="child")
    leaf = CategoryFactory(parent=child)
    assignment = CategoryAssignmentFactory(tenant=tenant, product__tenant=tenant, category=leaf)
    CategoryFactory(parent=root, external_id="sibling")
    delete_category(tenant_id=tenant.pk, external_id="child", with_subcategories=True)
    assert outline(tenant) == ["root-a", ".sibling"]
    assert not type(assignment).objects.exists()


def test_deleting_one_category_lifts_its_children_to_roots_with_their_subtrees(
    tenant: Tenant,
) -> None:
    root = CategoryFactory(tenant=tenant, external_id="root-a", position=0)
    child = CategoryFactory(parent=root, external_id="child", position=3)
    grandchild = CategoryFactory(parent=child, external_id="grandchild", position=0, name={"en": "Z"})
    CategoryFactory(parent=child, external_id="other", position=4)
    CategoryFactory(parent=grandchild, external_id="leaf")
    delete_category(tenant_id=tenant.pk, external_id="child", with_subcategories=False)
    assert outline(tenant) == ["root-a", "grandchild", ".leaf", "other"]


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ("left", ["moved", "a", ".child", "b", "c"]),
        ("right", ["a", ".child", "moved", "b", "c"]),
        ("first-child", ["a", ".moved", ".child", "b", "c"]),
        ("last-child", ["a", ".child", ".moved", "b", "c"]),
    ],
)
def test_dropping_a_category_sets_the_positions_that_keep_it_there(
    tenant: Tenant, now: datetime, side: str, expected: list[str]
) -> None:
    for name in ("a", "b", "c", "moved"):
        CategoryFactory(tenant=tenant, external_id=name, name={"en": name}, position=0)
    CategoryFactory(parent=Category.objects.get(external_id="a"), external_id="child")
    move_category_beside(tenant_id=tenant.pk, category_id="moved", target_id="a", side=side, at=now)
    assert outline(tenant) == expected


def test_dropping_between_moves_no_sibling_when_there_is_room(tenant: Tenant, now: datetime) -> None:
    for name, position in [("a", 0), ("b", 10), ("c", 20)]:
        CategoryFactory(tenant=tenant, external_id=name, position=position)
    move_category_beside(tenant_id=tenant.pk, category_id="c", target_id="a", side="right", at=now)
    assert list(
        Category.objects.filter(tenant=tenant)
        .order_by("lft")
        .values_list("external_id", "position", "version")
    ) == [("a", 0, 0), ("c", 1, 1), ("b", 10, 0)]


def test_every_door_past_the_tree_is_closed(tenant: Tenant) -> None:
    category = CategoryFactory(tenant=tenant)
    other = CategoryFactory(tenant=tenant)
    categories = Category.objects.filter(tenant=tenant)
    writes = [
        category.save,
        category.delete,
        categories.delete,
        lambda: category.save(update_fields=["parent"]),
        lambda: categories.update(parent=other),
        lambda: categories.update(lft=1),
        lambda: Category.objects.bulk_create([Category(tenant=tenant)]),
        lambda: Category.objects.bulk_update([category], ["position"]),
        lambda: Category.objects.create(tenant=tenant, name={"en": "A"}),
        lambda: category.move_to(other),
        lambda: category.insert_at(other, save=True),
        lambda: Category.objects.insert_node(category, other),
        lambda: Category.objects.move_node(category, other),
        Category.objects.rebuild,
        lambda: Category.objects.partial_rebuild(tenant.pk),
        Category.all_nodes.rebuild,
        lambda: Category.objects.build_tree_nodes({"name": {}}),
    ]
    for write in writes:
        with pytest.raises(DirectTreeWriteError):
            write()
    assert outline(tenant) == [category.external_id, other.external_id]


def test_fields_that_place_nothing_may_be_saved(tenant: Tenant) -> None:
    category = CategoryFactory(tenant=tenant)
    category.code = "C1"
    category.save(update_fields=["code"])
    category.refresh_from_db()
    assert category.code == "C1"


def damage(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE catalog_category SET {statement}", values)


@pytest.fixture
def family(tenant: Tenant) -> Tenant:
    root = CategoryFactory(tenant=tenant, external_id="root-a")
    CategoryFactory(parent=root, external_id="child", position=0)
    CategoryFactory(parent=root, external_id="sibling", position=1)
    return tenant


@pytest.mark.parametrize(
    ("statement", "problems"),
    [
        ("lft = 9 WHERE external_id = 'child'", [("child", "place", "lft is 9, not 3")]),
        ("level = 4 WHERE external_id = 'sibling'", [("sibling", "place", "level is 4, not 2")]),
        ("tree_id = 0 WHERE external_id = 'child'", [("child", "place", "tree_id is 0, not {tenant}")]),
        (
            "position = 3 - position WHERE external_id IN ('child', 'sibling')",
            [
                ("sibling", "order", "lft is 5, not 3, rght is 6, not 4"),
                ("child", "order", "lft is 3, not 5, rght is 4, not 6"),
            ],
        ),
    ],
)
def test_the_check_names_what_is_wrong_and_placing_repairs_it(
    family: Tenant, statement: str, problems: list[tuple[str, str, str]]
) -> None:
    damage(statement)
    assert sorted(
        (problem.category_id, problem.kind, problem.message) for problem in tree_problems(family.pk)
    ) == sorted((name, kind, text.format(tenant=family.pk)) for name, kind, text in problems)
    with transaction.atomic():
        assert locked_tree(family.pk).place_forest() == len(problems)
    assert tree_problems(family.pk) == []


def test_the_check_names_a_circle_and_placing_refuses_it(family: Tenant) -> None:
    for name, parent in [("child", "sibling"), ("sibling", "child")]:
        key = Category.objects.get(external_id=parent).pk
        damage("parent_id = %s WHERE external_id = %s", key, name)
    assert {(problem.category_id, problem.kind) for problem in tree_problems(family.pk)} >= {
        ("child", "cycle"),
        ("sibling", "cycle"),
    }
    with pytest.raises(ValueError, match="hang in a cycle"), transaction.atomic():
        locked_tree(family.pk).place_forest()


@pytest.mark.parametrize("size", [20, 10_000])
def test_moving_a_subtree_takes_the_same_statements_whatever_its_size(
    tenant: Tenant,
    now: datetime,
    size: int,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    rows = [category_body(external_id=name, name={"en": name}) for name in ("from", "to")]
    rows.append(category_body(external_id="top", name={"en": "top"}, parent_id="from"))
    rows += [
        category_body(
            external_id=f"n{index}", name={"en": "N"}, parent_id="top" if index % 3 else f"n{index - 1}"
        )
        for index in range(1, size)
    ]
    with django_assert_max_num_queries(21):
        upsert_categories_in_bulk(tenant_id=tenant.pk, rows=rows, at=now)
    body = category_body("top", {"en": "top"}, parent_id="to")
    with django_assert_num_queries(9):
        upsert_category(tenant_id=tenant.pk, body=body, at=now)
    assert tree_problems(tenant.pk) == []
    assert Category.objects.get(external_id="to").get_descendant_count() == size


def test_bulk_rows_come_in_any_order(tenant: Tenant, now: datetime) -> None:
    names = [f"n{index}" for index in range(200)]
    rows = [
        category_body(
            external_id=name,
            name={"en": name},
            parent_id=names[(index - 1) // 3] if index else None,
            position=index,
        )
        for index, name in enumerate(names)
    ]
    random.Random(7).shuffle(rows)
    outcomes = upsert_categories_in_bulk(tenant_id=tenant.pk, rows=rows, at=now)
    assert [(outcome.position, outcome.created, outcome.error) for outcome in outcomes] == [
        (index, True, None) for index in range(200)
    ]
    assert tree_problems(tenant.pk) == []
    parents = dict(Category.objects.filter(tenant=tenant).values_list("external_id", "parent__external_id"))
    assert parents == {name: names[(index - 1) // 3] if index else "/" for index, name in enumerate(names)}


def test_bulk_rows_update_stored_categories_and_keep_what_they_do_not_name(
    tenant: Tenant, now: datetime
) -> None:
    for name in ("a", "b"):
        CategoryFactory(tenant=tenant, external_id=name)
    outcomes = upsert_categories_in_bulk(
        tenant_id=tenant.pk,
        rows=[
            category_body(external_id="a", name={"en": "A"}, parent_id="new", numbers=["E1", "E2"]),
            category_body(external_id="new", name={"en": "New"}),
        ],
        at=now,
    )
    assert [(outcome.id, outcome.created) for outcome in outcomes] == [("a", False), ("new", True)]
    assert outline(tenant) == ["b", "new", ".a"]
    stored = Category.objects.get(tenant=tenant, external_id="a")
    assert (stored.name, stored.version, stored.modified_at) == ({"en": "A"}, 1, now)
    assert [number.value for number in stored.numbers.all()] == ["E1", "E2"]


def test_bulk_refuses_each_bad_row_with_its_reason_and_writes_the_others(
    tenant: Tenant, now: datetime
) -> None:
    taken = CategoryFactory(tenant=tenant, external_id="stored", code="Taken")
    CategoryNumber.objects.create(tenant=tenant, category=taken, value="E1")
    rows = [
        category_body(external_id="good", name={"en": "Good"}),
        category_body(external_id="orphan", name={"en": "Orphan"}, parent_id="nowhere"),
        category_body(external_id="below", name={"en": "Below"}, parent_id="orphan"),
        category_body(external_id="x", name={"en": "X"}, parent_id="y"),
        category_body(external_id="y", name={"en": "Y"}, parent_id="x"),
        category_body(external_id="code", name={"en": "Code"}, code="tAKEN"),
        category_body(external_id="number", name={"en": "Number"}, numbers=["E1"]),
        category_body(external_id="class", name={"en": "Class"}, type="CLASSIFICATION"),
        category_body("search"),
        category_body("stored", type="CLASSIFICATION", code="C"),
        category_body(external_id="stored", name={"en": "Stored"}, code="Taken", expected_version=4),
        category_body(external_id="good", name={"en": "Better"}),
    ]
    outcomes = upsert_categories_in_bulk(tenant_id=tenant.pk, rows=rows, at=now)
    assert [outcome.error and outcome.error.code for outcome in outcomes] == [
        None,
        "parent_not_found",
        "parent_not_found",
        "would_create_cycle",
        "would_create_cycle",
        "duplicated_code",
        "duplicated_number",
        "invalid_category",
        "invalid_category",
        "invalid_category",
        "version_conflict",
        None,
    ]
    assert [outcome.created for outcome in outcomes if not outcome.error] == [True, False]
    assert outline(tenant) == ["stored", "good"]
    stored = Category.objects.get(tenant=tenant, external_id="good")
    assert (stored.name, stored.version) == ({"en": "Better"}, 1)


def chain(tenant: Tenant, count: int, prefix: str = "n") -> list[Category]:
    """Return so many categories, each below the one before."""
    made: list[Category] = []
    for number in range(count):
        name = f"{prefix}{number}"
        made.append(CategoryFactory(tenant=tenant, external_id=name, parent=made[-1] if made else None))
    return made


def test_a_tree_has_at_most_50_levels(tenant: Tenant, now: datetime) -> None:
    deep = chain(tenant, 50)
    pair = chain(tenant, 2, "p")
    with pytest.raises(TooDeep):
        create_category(tenant_id=tenant.pk, body=category_body("x", parent_id="n49"), at=now)
    with pytest.raises(TooDeep):  # what is below it would be on level 51
        upsert_category(tenant_id=tenant.pk, body=category_body("p0", parent_id="n48"), at=now)
    upsert_category(tenant_id=tenant.pk, body=category_body("p0", parent_id="n47"), at=now)
    pair[1].refresh_from_db()
    assert pair[1].level == 50
    upsert_category(tenant_id=tenant.pk, body=category_body("n49", {"en": "New"}, parent_id="n48"), at=now)
    assert Category.objects.get(pk=deep[-1].pk).name == {"en": "New"}


def test_a_bulk_load_refuses_what_would_be_too_deep(tenant: Tenant, now: datetime) -> None:
    chain(tenant, 49)
    chain(tenant, 2, "p")
    rows = [
        category_body("x50", parent_id="n48"),
        category_body("x51", parent_id="x50"),
        category_body("x52", parent_id="x51"),
        category_body("p0", parent_id="n48"),
    ]
    outcomes = upsert_categories_in_bulk(tenant_id=tenant.pk, rows=rows, at=now)
    codes = [outcome.error and outcome.error.code for outcome in outcomes]
    assert codes == [None, "too_deep", "too_deep", "too_deep"]
    assert tree_problems(tenant.pk) == []
