from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from catalog.models import Category
from catalog.tree_checks import bent_trees, tree_problems
from config.health import occasionally_bent_trees
from core.tenancy.models import Tenant
from tests.factories.catalog import CategoryFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def family(tenant: Tenant) -> Tenant:
    root = CategoryFactory(tenant=tenant, external_id="top")
    child = CategoryFactory(parent=root, external_id="child", position=0)
    CategoryFactory(parent=child, external_id="leaf")
    CategoryFactory(parent=root, external_id="sibling", position=1)
    return tenant


def damage(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE catalog_category SET {statement}")


def run(*arguments: str) -> list[str]:
    output = StringIO()
    try:
        call_command("check_category_tree", *arguments, stdout=output)
    except CommandError as failure:
        output.write(f"failed: {failure}\n")
    return output.getvalue().splitlines()


def test_a_sound_tree_is_reported(family: Tenant, other_tenant: Tenant) -> None:
    assert run() == ["acme: sound", "globex: sound"]
    assert run("--tenant", "acme") == ["acme: sound"]


def test_an_unknown_tenant_is_refused(family: Tenant) -> None:
    assert run("--tenant", "nobody") == ["failed: There is no tenant nobody. `create_tenant` makes one."]


def test_what_is_in_a_wrong_place_is_reported_and_repaired_on_request(family: Tenant) -> None:
    damage("lft = 40 WHERE external_id = 'leaf'")
    assert run() == [
        "acme: leaf: lft is 40, not 4",
        "failed: 1 categories are in a wrong place. Run again with --fix to repair them.",
    ]
    assert run("--fix") == [
        "acme: leaf: lft is 40, not 4",
        "acme: repaired 1 categories, 0 are still wrong",
    ]
    assert run() == ["acme: sound"]


def test_only_the_named_tenant_is_repaired(family: Tenant, other_tenant: Tenant) -> None:
    CategoryFactory(tenant=other_tenant, external_id="theirs")
    damage("level = 9 WHERE external_id IN ('leaf', 'theirs')")
    run("--fix", "--tenant", "acme")
    assert tree_problems(family.pk) == []
    assert [problem.category_id for problem in tree_problems(other_tenant.pk)] == ["theirs"]


def test_a_circle_is_broken_by_a_new_root(family: Tenant) -> None:
    leaf = Category.objects.get(external_id="leaf").pk
    damage(f"parent_id = {leaf} WHERE external_id = 'child'")
    output = run("--fix")
    assert "acme: child hung in a cycle and is a root category now" in output
    assert run() == ["acme: sound"]
    assert Category.objects.get(external_id="leaf").parent.external_id == "child"


@pytest.mark.parametrize(
    "statement",
    [
        "lft = 40 WHERE external_id = 'leaf'",
        "rght = 40 WHERE external_id = 'top'",
        "level = 9 WHERE external_id = 'leaf'",
        "tree_id = 0 WHERE external_id = 'leaf'",
        "lft = lft + 1, rght = rght + 1",
        "parent_id = (SELECT id FROM catalog_category WHERE external_id = 'top') WHERE external_id = 'leaf'",
        # two siblings that overlap, every number used once
        "lft = CASE external_id WHEN 'child' THEN 3 ELSE 5 END,"
        " rght = CASE external_id WHEN 'child' THEN 7 ELSE 8 END WHERE external_id IN ('child', 'sibling')",
    ],
)
def test_readiness_sees_every_kind_of_damage(
    family: Tenant, other_tenant: Tenant, statement: str, fresh_deep_check: None
) -> None:
    CategoryFactory(tenant=other_tenant, external_id="theirs")
    assert bent_trees() == []
    damage(f"{statement}{' AND' if 'WHERE' in statement else ' WHERE'} tenant_id = {family.pk}")
    assert bent_trees() == ["acme"]
    assert tree_problems(family.pk) != []
    answer = Client().get("/readyz", query_params={"deep": "1"})
    assert answer.status_code == 503
    assert (
        answer.json().items()
        >= {
            "status": "down",
            "categoryTrees": 1,
            "remedy": "manage.py check_category_tree --fix",
        }.items()
    )
    assert Client().get("/readyz").status_code == 200


def test_readiness_looks_at_trees_once_a_minute(family: Tenant, fresh_deep_check: None) -> None:
    assert Client().get("/readyz", query_params={"deep": "1"}).json()["status"] == "up"
    damage("level = 9")
    assert Client().get("/readyz", query_params={"deep": "1"}).json()["status"] == "up"
    occasionally_bent_trees.due_at = 0.0
    assert Client().get("/readyz", query_params={"deep": "1"}).status_code == 503


@pytest.fixture
def fresh_deep_check() -> Iterator[None]:
    occasionally_bent_trees.due_at = 0.0
    yield
    occasionally_bent_trees.due_at = 0.0
