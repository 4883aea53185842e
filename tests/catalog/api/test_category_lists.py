"""Lists of categories: filters, search, parents and subcategories."""

from datetime import UTC, datetime

import pytest
from django.http import HttpResponse
from pytest_django import DjangoAssertNumQueries

from catalog.models import Category, CategoryNumber
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory

URL = "/category/acme/categories"


@pytest.fixture
def shop(tenant: Tenant) -> Tenant:
    """bikes > (road, kids > (balance)); parts > (bells, unpublished > brakes)."""
    bikes = CategoryFactory(
        tenant=tenant,
        external_id="bikes",
        name={"en": "Bikes", "de": "Räder"},
        code="B1",
        description={"en": "All with two wheels"},
        slug={"en": "bikes-and-more"},
        valid_from=datetime(2024, 1, 1, tzinfo=UTC),
        valid_to=datetime(2024, 12, 31, tzinfo=UTC),
    )
    CategoryNumber.objects.create(tenant=tenant, category=bikes, value="N1")
    CategoryFactory(parent=bikes, external_id="road", name={"en": "Road"}, position=2)
    kids = CategoryFactory(parent=bikes, external_id="kids", name={"en": "Kids"}, position=1)
    CategoryFactory(parent=kids, external_id="balance", name={"en": "Balance bikes"})
    parts = CategoryFactory(tenant=tenant, external_id="parts", name={"en": "Parts"})
    CategoryFactory(parent=parts, external_id="bells", name={"en": "Bells"})
    hidden = CategoryFactory(parent=parts, external_id="secret", name={"en": "S"}, is_published=False)
    CategoryFactory(parent=hidden, external_id="brakes", name={"en": "Brakes"})
    return tenant


def ids(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["bikes", "road", "kids", "balance", "parts", "bells"]),
        ({"showRoots": "true"}, ["bikes", "parts"]),
        ({"showRoots": "false", "code": "b1"}, ["bikes"]),
        ({"code": "B"}, []),
        ({"ecn": "N1"}, ["bikes"]),
        ({"ecn": "n1"}, []),
        ({"localizedName": "BIKES"}, ["bikes", "balance"]),
        ({"localizedName": "räder"}, ["bikes"]),
        ({"localizedName": "%"}, []),
        ({"localizedDescription": "wheel"}, ["bikes"]),
        ({"localizedSlug": "and-more"}, ["bikes"]),
        ({"validityFrom": "2023-12-31"}, ["bikes"]),
        ({"validityFrom": "2024-01-01"}, []),
        ({"validityTo": "2025-01-01"}, ["bikes"]),
        ({"validityTo": "2024-12-31"}, []),
        ({"validityTo": "2024-12-31T00:00:00.001Z"}, ["bikes"]),
        ({"metadataModifiedAt": "2000-01-01", "code": "B1"}, ["bikes"]),
        ({"metadataModifiedAt": "2999-01-01"}, []),
        ({"q": "localizedName.en:~^B"}, ["bikes", "balance", "bells"]),
        ({"q": "name:Räder"}, ["bikes"]),
        ({"q": "ecn:N1"}, ["bikes"]),
        ({"q": "parentId:kids"}, ["balance"]),
        ({"q": "parentId:null"}, ["bikes", "parts"]),
        ({"q": "supercategoriesIds:bikes"}, ["road", "kids", "balance"]),
        ({"q": "validity.from:exists"}, ["bikes"]),
        ({"q": "position:>=2"}, ["road"]),
        ({"sort": "localizedName.en:desc", "pageSize": "2"}, ["road", "parts"]),
        ({"pageNumber": "2", "pageSize": "3"}, ["balance", "parts", "bells"]),
    ],
)
def test_filters_of_the_list(
    public_api: Api, shop: Tenant, query: dict[str, str], expected: list[str]
) -> None:
    assert ids(public_api.get(URL, **query)) == expected


def test_names_are_found_only_in_the_accepted_languages(public_api: Api, shop: Tenant) -> None:
    german = {"Accept-Language": "de"}
    assert ids(public_api.get(URL, localizedName="bikes", headers=german)) == []
    assert ids(public_api.get(URL, localizedName="räder", headers=german)) == ["bikes"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"validityFrom": "01.02.2024"}, "validityFrom"),
        ({"validityTo": "2024-13-01"}, "validityTo"),
        ({"metadataModifiedAt": "2024-01-01T00:00"}, "metadataModifiedAt"),
        ({"showRoots": "perhaps"}, "showRoots"),
        ({"showUnpublished": "perhaps"}, "showUnpublished"),
        ({"code": "x" * 201}, "code"),
        ({"pageSize": "1001"}, "pageSize"),
        ({"sort": "nothing"}, "sort"),
        ({"sort": "name"}, "sort"),
        ({"sort": "localizedName.fr"}, "sort"),
        ({"q": "nothing:1"}, "q"),
        ({"fields": "nothing"}, "fields"),
    ],
)
def test_a_faulty_parameter_is_named(
    public_api: Api, shop: Tenant, query: dict[str, str], field: str
) -> None:
    answer = public_api.get(URL, **query)
    assert answer.status_code == 400
    assert answer.json()["details"][0].startswith(f"{field}: ")


def test_names_are_sorted_in_the_language_that_is_read(public_api: Api, shop: Tenant) -> None:
    def roots(**headers: str) -> list[str]:
        return ids(public_api.get(URL, showRoots="true", sort="localizedName:DESC", headers=headers))

    assert roots() == roots(**{"Accept-Language": "en"}) == ["parts", "bikes"]
    assert roots(**{"Accept-Language": "de"}) == ["bikes", "parts"]
    assert ids(public_api.get(URL, showRoots="true", sort="localizedName.de:DESC")) == ["parts", "bikes"]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("ownClassificationMixins.name:gears", ["road"]),
        ("ownClassificationMixins:exists", ["road"]),
        ("classificationMixins.mixinPath:class_R_gears", ["road", "racing"]),
        ("classificationMixins.required:true", ["road", "racing"]),
        ("classificationMixins:exists", ["road", "racing"]),
        ("classificationMixins:missing code:B1", ["bikes"]),
        ("media:exists code:B1", ["bikes"]),
        ("media:missing", []),
        ("mixins:exists", ["racing"]),
    ],
)
def test_lists_of_objects_are_searched_by_their_members(
    public_api: Api, shop: Tenant, q: str, expected: list[str]
) -> None:
    road = Category.objects.get(tenant=shop, external_id="road")
    gears = {"name": "gears", "schemaUrl": "https://example.com/gears.json", "required": True}
    Category.objects.filter(pk=road.pk).update(code="R", own_classification_mixins=[gears])
    road.refresh_from_db()
    CategoryFactory(parent=road, external_id="racing", name={"en": "Racing"}, mixins={"a": {"b": 1}})
    assert sorted(ids(public_api.get(URL, q=q))) == sorted(expected)


def test_search_takes_its_query_from_the_body(public_api: Api, staff_api: Api, shop: Tenant) -> None:
    assert ids(public_api.post(f"{URL}/search", {"q": "id:(kids,secret,parts)"})) == ["kids", "parts"]
    assert ids(public_api.post(f"{URL}/search", {"q": "id:(kids,parts)"}, showRoots="true")) == ["parts"]
    assert ids(staff_api.post(f"{URL}/search", {"q": "id:secret"}, showUnpublished="true")) == ["secret"]
    assert public_api.post(f"{URL}/search", {"q": 5}).status_code == 400


def test_the_count_comes_on_request(public_api: Api, shop: Tenant) -> None:
    counted = public_api.get(URL, pageSize="2", headers={"X-Total-Count": "true"})
    assert counted["X-Total-Count"] == "6"
    assert "X-Total-Count" not in public_api.get(URL, pageSize="2")


@pytest.mark.parametrize("path", ["", "/bikes/subcategories", "/balance/parents"])
def test_cursors_reach_every_row_once(public_api: Api, shop: Tenant, path: str) -> None:
    whole = ids(public_api.get(URL + path))
    rows, query = [], {"pageSize": "1"}
    while True:
        answer = public_api.get(URL + path, **query)
        rows += ids(answer)
        if "X-Next-Cursor" not in answer:
            break
        query = {"pageSize": "1", "next": answer["X-Next-Cursor"]}
    assert rows == whole
    assert len(whole) > 1


def test_fields_keep_what_they_name(public_api: Api, shop: Tenant) -> None:
    assert public_api.get(f"{URL}/kids", fields="parentId,supercategoriesIds").json() == {
        "id": "kids",
        "parentId": "bikes",
        "supercategoriesIds": ["bikes"],
    }


def test_parents_come_from_the_root_down(public_api: Api, staff_api: Api, shop: Tenant) -> None:
    assert ids(public_api.get(f"{URL}/balance/parents")) == ["bikes", "kids"]
    assert ids(public_api.get(f"{URL}/balance/parents", sort="id:desc")) == ["kids", "bikes"]
    assert ids(public_api.get(f"{URL}/bikes/parents")) == []
    assert ids(staff_api.get(f"{URL}/brakes/parents", showUnpublished="true")) == ["parts", "secret"]


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("bikes", {}, ["kids", "balance", "road"]),
        ("bikes", {"depth": "1"}, ["kids", "road"]),
        ("bikes", {"depth": "0"}, ["kids", "balance", "road"]),
        ("bikes", {"sort": "id:desc"}, ["road", "kids", "balance"]),
        ("road", {}, []),
        ("parts", {}, ["bells"]),
        ("parts", {"showUnpublished": "true"}, ["bells", "secret", "brakes"]),
        ("parts", {"showUnpublished": "true", "depth": "1"}, ["bells", "secret"]),
        ("secret", {"showUnpublished": "true"}, ["brakes"]),
    ],
)
def test_subcategories_come_in_the_order_of_the_tree(
    staff_api: Api, shop: Tenant, path: str, query: dict[str, str], expected: list[str]
) -> None:
    assert ids(staff_api.get(f"{URL}/{path}/subcategories", **query)) == expected


@pytest.mark.parametrize("parameters", [{}, {"showUnpublished": "true"}])
def test_a_category_below_an_unpublished_one_is_invisible_everywhere(
    public_api: Api, staff_api: Api, tenant: Tenant, parameters: dict[str, str]
) -> None:
    top = CategoryFactory(tenant=tenant, external_id="top")
    hidden = CategoryFactory(parent=top, external_id="hidden", is_published=False)
    middle = CategoryFactory(parent=hidden, external_id="middle")
    CategoryFactory(parent=middle, external_id="leaf", code="LEAF")
    product = CategoryAssignmentFactory(tenant=tenant, category=middle, product__tenant=tenant).product
    api, found = (staff_api, True) if parameters else (public_api, False)
    for path in ("", "/parents", "/subcategories", "/assignments"):
        answer = api.get(f"{URL}/middle{path}", **parameters)
        assert answer.status_code == (200 if found else 404), path
    assert ids(api.get(URL, code="leaf", **parameters)) == (["leaf"] if found else [])
    assert ids(api.post(f"{URL}/search", {"q": "id:leaf"}, **parameters)) == (["leaf"] if found else [])
    below = ids(api.get(f"{URL}/top/assignments", withSubcategories="true", **parameters))
    assert len(below) == found
    reference = f"/category/acme/assignments/references/{product.external_id}"
    assert ids(api.get(reference, **parameters)) == (["middle"] if found else [])
    trees = "/category/acme/category-trees"
    assert ids(api.get(trees, categoryIds="leaf", **parameters)) == (["top"] if found else [])
    assert ids(api.post(f"{trees}/search", {"categoryIds": ["middle"]}, **parameters)) == (
        ["top"] if found else []
    )


@pytest.mark.parametrize("relatives", ["parents", "subcategories"])
@pytest.mark.parametrize("category_id", ["none", "secret", "brakes", "%2F"])
def test_relatives_of_what_cannot_be_seen_are_not_found(
    public_api: Api, shop: Tenant, relatives: str, category_id: str
) -> None:
    answer = public_api.get(f"{URL}/{category_id}/{relatives}")
    assert answer.status_code == 404
    if category_id != "%2F":
        assert answer.json() == {
            "code": 404,
            "status": "Not Found",
            "message": f"Error while getting category {relatives}",
            "details": [
                f"{relatives.capitalize()} for category with id '{category_id}' for tenant 'acme' not found"
            ],
            "resourceId": category_id,
        }


@pytest.mark.parametrize("depth", ["-1", "x", "1.5", "10001"])
def test_a_faulty_depth_is_refused(public_api: Api, shop: Tenant, depth: str) -> None:
    assert public_api.get(f"{URL}/bikes/subcategories", depth=depth).status_code == 400


@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize("path", ["?pageSize=50", "/k0", "/k0/parents", "/top/subcategories"])
def test_reads_take_one_statement_whatever_the_number_of_rows(
    public_api: Api,
    tenant: Tenant,
    size: int,
    path: str,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    top = CategoryFactory(tenant=tenant, external_id="top")
    for index in range(size):
        CategoryFactory(parent=top, external_id=f"k{index}")
    public_api.get(URL)  # the token is verified, and remembered
    with django_assert_num_queries(1):
        answer = public_api.get(URL + path)
    with django_assert_num_queries(1):
        assert public_api.get(URL + path).content == answer.content
