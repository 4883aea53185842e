from collections.abc import Callable

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import CATEGORY_MANAGE
from catalog.models import CategoryNumber
from catalog.tree_checks import tree_problems
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.factories.catalog import CategoryFactory

URL = "/category/acme/category-trees"


@pytest.fixture
def forest(tenant: Tenant) -> Tenant:
    """a > (b > c, d), e, f (unpublished) > g, h > i (unpublished) > j."""
    a = CategoryFactory(
        tenant=tenant,
        external_id="a",
        name={"en": "A", "de": "Ä"},
        description={"en": "First"},
        slug={"en": "a"},
        code="C-A",
    )
    CategoryNumber.objects.create(tenant=tenant, category=a, value="N2", rank=1)
    CategoryNumber.objects.create(tenant=tenant, category=a, value="N1", rank=0)
    b = CategoryFactory(parent=a, external_id="b")
    CategoryFactory(parent=b, external_id="c")
    CategoryFactory(parent=a, external_id="d")
    CategoryFactory(tenant=tenant, external_id="e")
    f = CategoryFactory(tenant=tenant, external_id="f", is_published=False)
    CategoryFactory(parent=f, external_id="g")
    h = CategoryFactory(tenant=tenant, external_id="h")
    i = CategoryFactory(parent=h, external_id="i", is_published=False)
    CategoryFactory(parent=i, external_id="j")
    return tenant


def outline(trees: list[JsonObject]) -> list[object]:
    """Only ids, each with those below it."""
    return [
        (tree["id"], outline(tree["subcategories"])) if tree["subcategories"] else tree["id"]
        for tree in trees
    ]


def test_a_node_has_a_name_even_without_a_text_in_the_default_language(
    public_api: Api, tenant: Tenant
) -> None:
    CategoryFactory(tenant=tenant, external_id="a", name={"de": "Ä"})
    [tree] = public_api.get(URL).json()
    assert (tree["name"], tree["localizedName"]) == ("", {"de": "Ä"})


PUBLIC = [("a", [("b", ["c"]), "d"]), "e", "h"]
EVERYTHING = [("a", [("b", ["c"]), "d"]), "e", ("f", ["g"]), ("h", [("i", ["j"])])]


def test_trees_are_nested_without_what_is_unpublished(
    public_api: Api, staff_api: Api, forest: Tenant
) -> None:
    assert outline(public_api.get(URL).json()) == PUBLIC
    assert outline(staff_api.get(URL).json()) == PUBLIC
    assert outline(staff_api.get(URL, showUnpublished="true").json()) == EVERYTHING
    refused = public_api.get(URL, showUnpublished="true")
    assert (refused.status_code, refused.json()["details"]) == (
        403,
        ["Required scope(s): category.category_read_unpublished"],
    )


def test_a_node_shows_all_its_fields(public_api: Api, forest: Tenant) -> None:
    node = public_api.get(f"{URL}/a").json()
    assert outline(node.pop("subcategories")) == [("b", ["c"]), "d"]
    assert node == {
        "id": "a",
        "localizedName": {"en": "A", "de": "Ä"},
        "localizedDescription": {"en": "First"},
        "localizedSlug": {"en": "a"},
        "name": "A",
        "description": "First",
        "code": "C-A",
        "position": 0,
        "published": True,
        "ecn": ["N1", "N2"],
    }


def test_every_node_but_the_root_names_its_parent(public_api: Api, forest: Tenant) -> None:
    root = public_api.get(f"{URL}/a").json()
    b, d = root["subcategories"]
    assert "parentId" not in root
    assert (b["parentId"], d["parentId"], b["subcategories"][0]["parentId"]) == ("a", "a", "b")
    assert public_api.get(URL).json()[0] == root


def test_siblings_stand_by_position_then_name(public_api: Api, tenant: Tenant) -> None:
    for name, position in [("b", 1), ("a", 1), ("c", 0)]:
        CategoryFactory(tenant=tenant, external_id=name, name={"en": name}, position=position)
    assert outline(public_api.get(URL).json()) == ["c", "a", "b"]


def test_no_categories_are_no_trees(public_api: Api, tenant: Tenant) -> None:
    assert public_api.get(URL).json() == []


def test_names_are_cut_to_the_accepted_language(public_api: Api, forest: Tenant) -> None:
    assert public_api.get(f"{URL}/a", headers={"Accept-Language": "de"}).json()["localizedName"] == {
        "de": "Ä"
    }
    assert public_api.get(URL, headers={"Accept-Language": "ru"}).status_code == 400


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (["c"], ["a"]),
        (["c", "d", "e"], ["a", "e"]),
        (["none"], []),
        (["g"], []),
        (["i"], []),
    ],
)
def test_trees_are_chosen_by_what_they_hold(
    public_api: Api, forest: Tenant, named: list[str], expected: list[str]
) -> None:
    by_commas = public_api.get(URL, categoryIds=",".join(named))
    repeated = public_api.get(URL, categoryIds=named)
    searched = public_api.post(f"{URL}/search", {"categoryIds": named})
    for answer in (by_commas, repeated, searched):
        assert answer.status_code == 200
        assert [tree["id"] for tree in answer.json()] == expected


def test_unpublished_categories_choose_trees_for_staff(staff_api: Api, forest: Tenant) -> None:
    answer = staff_api.post(f"{URL}/search", {"categoryIds": ["j", "f"]}, showUnpublished="true")
    assert outline(answer.json()) == [("f", ["g"]), ("h", [("i", ["j"])])]


def test_a_search_for_nothing_finds_nothing(public_api: Api, forest: Tenant) -> None:
    assert public_api.post(f"{URL}/search", {"categoryIds": []}).json() == []


@pytest.mark.parametrize("body", [None, {}, {"categoryIds": None}])
def test_a_search_needs_ids(public_api: Api, forest: Tenant, body: object) -> None:
    answer = public_api.post(f"{URL}/search", body)
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "code": 400,
            "status": "Bad Request",
            "message": "There is a validation error. Please check the details.",
            "details": ["categoryIds: must not be null"],
        },
    )


@pytest.mark.parametrize("ids", ["a", [1], ["a"] * 1_001])
def test_faulty_ids_are_refused(public_api: Api, forest: Tenant, ids: object) -> None:
    assert public_api.post(f"{URL}/search", {"categoryIds": ids}).status_code == 400


@pytest.mark.parametrize("root", ["b", "f", "none"])
def test_only_visible_roots_have_trees(public_api: Api, forest: Tenant, root: str) -> None:
    answer = public_api.get(f"{URL}/{root}")
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "code": 404,
            "status": "Not Found",
            "message": "Error while getting category tree",
            "details": [f"Category tree for category with id '{root}' not found"],
            "resourceId": root,
        },
    )


def test_rebuilding_repairs_and_answers_the_tree(
    service_api: Callable[..., Api], public_api: Api, forest: Tenant
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_category SET lft = 90, level = 7 WHERE external_id IN ('b', 'd')")
    assert tree_problems(forest.pk) != []
    manager = service_api(CATEGORY_MANAGE)
    answer = manager.post(f"{URL}/a/rebuild")
    assert (answer.status_code, outline([answer.json()])) == (200, [("a", [("b", ["c"]), "d"])])
    assert tree_problems(forest.pk) == []
    assert manager.post(f"{URL}/b/rebuild").status_code == 404
    assert public_api.post(f"{URL}/a/rebuild").status_code == 403


def test_the_deprecated_tree_is_one_object(public_api: Api, forest: Tenant) -> None:
    body = public_api.get("/category/acme/categories/categoryTree").json()
    assert outline([body]) == [("root", PUBLIC)]
    subcategories = body.pop("subcategories")
    assert body == {"id": "root", "name": "acme", "position": 0, "published": True}
    first = subcategories[0]
    assert first["subcategories"][1] == {
        "id": "d",
        "parentId": "a",
        "name": "Category d",
        "position": 1,
        "published": True,
        "ecn": [],
        "subcategories": [],
    }
    assert (first["parentId"], first["name"], first["description"]) == ("root", "A", "First")


def test_the_deprecated_tree_has_errors_of_its_own_shape(public_api: Api, forest: Tenant) -> None:
    refused = public_api.get("/category/globex/categories/categoryTree")
    assert (refused.status_code, refused.json()) == (
        403,
        {
            "status": 403,
            "type": "insufficient_permissions",
            "message": "The token belongs to another tenant.",
        },
    )


@pytest.mark.parametrize("size", [1, 20])
def test_a_tree_takes_one_statement(
    public_api: Api, tenant: Tenant, size: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    top = CategoryFactory(tenant=tenant, external_id="top")
    for _ in range(size):
        CategoryFactory(parent=top)
    public_api.get(URL)
    with django_assert_num_queries(1):
        assert len(public_api.get(URL).json()[0]["subcategories"]) == size
