"""Lists of the catalogue are read together with the revision that their tag is made of."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import PRODUCT_READ_UNPUBLISHED
from catalog.models import Category, Product
from core.api.conditional import MOST_SUBJECTS, KeptBodies, kept_bodies
from core.representation import pages
from core.sql.composition import Sql
from core.sql.fetching import fetch_rows
from core.tenancy.models import Tenant
from tests.conftest import Api, Clock
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory

PRODUCTS = "/product/acme/products"
ASSIGNMENTS = "/category/acme/categories/a/assignments"


@pytest.fixture
def api(tenant: Tenant, service_api: Callable[..., Api]) -> Api:
    """A service whose token is verified already."""
    api = service_api(PRODUCT_READ_UNPUBLISHED)
    assert api.get(f"{PRODUCTS}/nothing").status_code == 404
    return api


def test_after_a_change_only_the_list_that_finds_it_takes_a_second_statement(
    api: Api, tenant: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ProductFactory(tenant=tenant)
    first, second = (f"{PRODUCTS}?pageSize={size}" for size in (10, 20))
    for path in (first, second, first, second):
        with django_assert_num_queries(1):
            api.get(path)
    ProductFactory(tenant=tenant)
    with django_assert_num_queries(2):
        assert len(api.get(first).json()) == 2
    with django_assert_num_queries(1):
        assert len(api.get(second).json()) == 2
    with django_assert_num_queries(1):
        assert len(api.get(first).json()) == 2


def test_who_holds_a_list_is_answered_by_its_revision_alone(api: Api, tenant: Tenant) -> None:
    ProductFactory(tenant=tenant)
    held = {"If-None-Match": api.get(PRODUCTS)["ETag"]}
    kept_bodies().by_tag.clear()
    assert api.get(PRODUCTS, headers=held).status_code == 304
    assert not kept_bodies().by_tag  # the list was not read
    Product.objects.update(code="other")
    assert api.get(PRODUCTS, headers=held).status_code == 200


def test_an_empty_list_is_read_with_its_revision_by_two_statements(
    api: Api, tenant: Tenant, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        empty = api.get(PRODUCTS)
    with django_assert_num_queries(1):
        assert api.get(PRODUCTS).content == empty.content == b"[]"
    ProductFactory(tenant=tenant)
    assert len(api.get(PRODUCTS).json()) == 1


@pytest.mark.parametrize("parameters", [{"q": "code:nothing"}, {"pageNumber": 7}])
def test_what_finds_nothing_is_searched_once(
    api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, object]
) -> None:
    ProductFactory(tenant=tenant)
    asked = []
    monkeypatch.setattr(
        pages, "fetch_rows", lambda *a, **options: asked.append(a) or fetch_rows(*a, **options)
    )
    assert api.get(PRODUCTS, **parameters).content == b"[]"
    assert len(asked) == 1


@pytest.mark.parametrize("size", [60, 1_000])
def test_what_comes_while_a_list_is_found_empty_is_in_its_answer(
    api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    asked = []

    def fetched(statement: Sql, **options: object) -> list[tuple[object, ...]]:
        rows = fetch_rows(statement, **options)
        asked.append(rows)
        if len(asked) == 1:
            ProductFactory(tenant=tenant, external_id="late")
        return rows

    monkeypatch.setattr(pages, "fetch_rows", fetched)
    answer = api.get(PRODUCTS, pageSize=size)
    assert [bool(rows and rows[0][0]) for rows in asked] == [False, True, True]
    assert [row["id"] for row in answer.json()] == ["late"]
    assert api.get(PRODUCTS, pageSize=size)["ETag"] == answer["ETag"]


def test_what_is_assigned_to_an_unknown_category_is_404_and_to_an_empty_one_is_empty(
    api: Api, tenant: Tenant
) -> None:
    assert api.get(ASSIGNMENTS).status_code == 404
    category = CategoryFactory(tenant=tenant, external_id="a")
    assert api.get(ASSIGNMENTS).content == b"[]"
    CategoryAssignmentFactory(category=category, product=ProductFactory(tenant=tenant))
    assert len(api.get(ASSIGNMENTS).json()) == 1
    Category.objects.filter(pk=category.pk).update(is_published=False)
    assert api.get(ASSIGNMENTS).status_code == 404


def test_a_search_by_a_relative_instant_is_not_kept_longer_than_it_holds(api: Api, tenant: Tenant) -> None:
    ProductFactory(tenant=tenant, created_at=Clock.at - timedelta(minutes=50))
    query = {"q": "metadata.createdAt:(>=now-1h)"}
    recent = api.get(PRODUCTS, **query)
    assert len(recent.json()) == 1
    Clock.advance(timedelta(minutes=20))
    later = api.get(PRODUCTS, headers={"If-None-Match": recent["ETag"]}, **query)
    assert (later.status_code, later.content) == (200, b"[]")


def test_revisions_of_so_many_subjects_are_remembered() -> None:
    bodies = KeptBodies(1_000)
    for number in range(MOST_SUBJECTS + 1):
        bodies.saw_revision((number,), number)
    assert bodies.seen_revisions == {(MOST_SUBJECTS,): MOST_SUBJECTS}
