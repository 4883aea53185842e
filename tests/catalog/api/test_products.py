"""Products over HTTP: whole bodies, and one refusal of each kind."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import (
    CATEGORY_MANAGE,
    CATEGORY_READ_UNPUBLISHED,
    PRODUCT_MANAGE,
    PRODUCT_PUBLISH,
    PRODUCT_READ_UNPUBLISHED,
    PRODUCT_UNPUBLISH,
)
from accounts.models import Site
from catalog.models import CategoryAssignment, Product
from core.json_types import JsonObject
from core.tenancy.identifiers import generate_id
from core.tenancy.models import Tenant
from core.timestamps import format_time
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.segments import ItemAssignmentFactory, SegmentFactory

PRODUCTS = "/product/acme/products"
BULK = f"{PRODUCTS}/bulk"
ALL = (PRODUCT_MANAGE, PRODUCT_PUBLISH, PRODUCT_UNPUBLISH)
WHOLE = {
    "id": "P1",
    "code": "milk",
    "name": {"en": "Milk", "de": "Milch"},
    "description": {"en": "Whole milk"},
    "published": True,
    "productType": "BASIC",
    "template": {"id": "T1", "version": "1"},
    "taxClasses": {"US": "STANDARD"},
    "relatedItems": [{"refId": "P2", "type": "ACCESSORY"}],
    "vendor": {"id": "V1", "name": "Dairy"},
    "brandId": "B1",
    "labelIds": ["L1", "L2"],
    "weightDependent": True,
    "mixins": {"size": {"value": 1.5, "unit": "l"}},
    "metadata": {"mixins": {"size": "https://example.com/size.json"}},
}
MILK = {"code": "milk", "name": {"en": "Milk"}}


@pytest.fixture
def manager(service_api: Callable[..., Api]) -> Api:
    return service_api(PRODUCT_MANAGE)


@pytest.fixture
def publisher(service_api: Callable[..., Api]) -> Api:
    return service_api(*ALL)


@pytest.fixture
def milk(tenant: Tenant) -> Product:
    return ProductFactory(tenant=tenant, external_id="P1", code="milk", name={"en": "Milk", "de": "Milch"})


@pytest.fixture
def hidden(tenant: Tenant) -> Product:
    return ProductFactory(tenant=tenant, external_id="P2", code="hidden", is_published=False)


def refusal(code: int, status: str, message: str, **more: object) -> JsonObject:
    return {"code": code, "status": status, "message": message, **more}


def lacking(scope: str) -> JsonObject:
    return refusal(403, "Forbidden", f"The token lacks the scope {scope}.")


def invalid(field: str, message: str, kind: str = "invalid_product") -> JsonObject:
    details = [{"field": field, "type": kind, "message": message}]
    return refusal(400, "Bad Request", message, details=details)


def ids(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()]


def metadata(product: Product, **more: object) -> JsonObject:
    return {
        "createdAt": format_time(product.created_at),
        "modifiedAt": format_time(product.modified_at),
        "version": product.version,
        **more,
    }


# Reading


def test_product_is_read_as_it_was_written(publisher: Api, tenant: Tenant) -> None:
    created = publisher.post(PRODUCTS, WHOLE)
    assert (created.status_code, created.json()) == (201, {"id": "P1"})
    stored = Product.objects.get(tenant=tenant)
    answer = publisher.get(f"{PRODUCTS}/P1")
    assert answer.status_code == 200
    assert answer.json() == {
        **WHOLE,
        "customerSegmentIds": [],
        "categoryIds": [],
        "metadata": metadata(stored, mixins={"size": "https://example.com/size.json"}),
    }
    assert stored.version == 1


def test_product_shows_its_categories(manager: Api, milk: Product) -> None:
    for category_id in ("K2", "K1"):
        category = CategoryFactory(tenant=milk.tenant, external_id=category_id)
        CategoryAssignmentFactory(product=milk, category=category)
    expected = {
        "id": "P1",
        "code": "milk",
        "name": {"en": "Milk", "de": "Milch"},
        "published": True,
        "productType": "BASIC",
        "customerSegmentIds": [],
        "categoryIds": ["K2", "K1"],
        "metadata": metadata(milk),
    }
    assert manager.get(f"{PRODUCTS}/P1").json() == expected
    assert manager.get(PRODUCTS).json() == [expected]


def test_text_is_written_in_the_content_language(manager: Api, tenant: Tenant) -> None:
    body = {"id": "P1", "code": "milk", "name": "Milch", "description": None}
    assert manager.post(PRODUCTS, body, headers={"Content-Language": "de"}).status_code == 201
    stored = Product.objects.get(tenant=tenant)
    assert (stored.name, stored.description) == ({"de": "Milch"}, {})


def test_names_are_cut_to_the_accepted_languages(manager: Api, milk: Product) -> None:
    german = manager.get(f"{PRODUCTS}/P1", fields="name", headers={"Accept-Language": "de-CH"})
    assert german.json() == {"id": "P1", "name": {"de": "Milch"}}
    other = manager.get(f"{PRODUCTS}/P1", fields="name", headers={"Accept-Language": "fr"})
    assert other.json() == {"id": "P1", "name": {"en": "Milk"}}
    whole = manager.get(f"{PRODUCTS}/P1", fields="name", headers={"Accept-Language": "*"})
    assert whole.json() == {"id": "P1", "name": {"en": "Milk", "de": "Milch"}}


def test_unknown_product_is_not_found(manager: Api, other_tenant: Tenant) -> None:
    ProductFactory(tenant=other_tenant, external_id="P9")
    answer = manager.get(f"{PRODUCTS}/P9")
    assert answer.status_code == 404
    assert answer.json() == refusal(
        404, "Not Found", "The product with id P9 has not been found.", productId="P9"
    )


def test_shoppers_see_published_products_only(
    anonymous_api: Api, customer_api: Callable[..., Api], milk: Product, hidden: Product
) -> None:
    customer = customer_api(CustomerFactory(tenant=milk.tenant))
    for shopper in (anonymous_api, customer):
        assert ids(shopper.get(PRODUCTS)) == ["P1"]
        assert ids(shopper.post(f"{PRODUCTS}/search", {"q": "id:(P1,P2)"})) == ["P1"]
        assert shopper.get(f"{PRODUCTS}/P1").status_code == 200
        assert shopper.get(f"{PRODUCTS}/P2").status_code == 404


@pytest.mark.parametrize("scope", [PRODUCT_MANAGE, PRODUCT_READ_UNPUBLISHED])
def test_staff_sees_unpublished_products(
    service_api: Callable[..., Api], milk: Product, hidden: Product, scope: str
) -> None:
    staff = service_api(scope)
    assert ids(staff.get(PRODUCTS)) == ["P1", "P2"]
    assert ids(staff.post(f"{PRODUCTS}/search", {"q": "id:(P1,P2)"})) == ["P1", "P2"]
    assert staff.get(f"{PRODUCTS}/P2").status_code == 200


def test_other_scopes_do_not_show_unpublished_products(
    service_api: Callable[..., Api], hidden: Product
) -> None:
    other = service_api(CATEGORY_MANAGE, PRODUCT_PUBLISH, PRODUCT_UNPUBLISH)
    assert ids(other.get(PRODUCTS)) == []
    assert other.get(f"{PRODUCTS}/P2").status_code == 404


def test_products_are_searched_sorted_paged_and_counted(
    manager: Api, tenant: Tenant, other_tenant: Tenant
) -> None:
    for product_id, name in (("P1", "Milk"), ("P2", "Tea"), ("P3", "Milk")):
        ProductFactory(
            tenant=tenant,
            external_id=product_id,
            name={"en": name},
            details={"brandId": f"brand-{product_id}"},
            mixins={"size": {"value": int(product_id[1])}},
        )
    ProductFactory(tenant=other_tenant, external_id="P9", name={"en": "Milk"})
    found = manager.get(PRODUCTS, q="name.en:Milk", sort="id:desc", headers={"X-Total-Count": "true"})
    assert (ids(found), found["X-Total-Count"]) == (["P3", "P1"], "2")
    assert ids(manager.get(PRODUCTS, sort="name.en:desc", pageSize="1", pageNumber="2")) == ["P1"]
    assert ids(manager.get(PRODUCTS, q="code:(code-P2,code-P3) productType:BASIC")) == ["P2", "P3"]
    assert ids(manager.get(PRODUCTS, q="mixins.size.value:>=2 brandId:brand-P3")) == ["P3"]
    searched = manager.post(f"{PRODUCTS}/search", {"q": "id:(P3,P9)"}, fields="code")
    assert searched.json() == [{"id": "P3", "code": "code-P3"}]
    assert ids(manager.post(f"{PRODUCTS}/search", {})) == ["P1", "P2", "P3"]


def test_a_search_names_as_many_products_as_a_page_holds(manager: Api, milk: Product) -> None:
    wanted = [*(generate_id() for _ in range(999)), milk.external_id]
    answer = manager.post(f"{PRODUCTS}/search", {"q": f"id:({','.join(wanted)})"}, pageSize="1000")
    assert ids(answer) == [milk.external_id]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("{field}:one", ["P1"]),
        ("{field}:(one,two)", ["P1", "P2"]),
        ("{field}:~^o", ["P1"]),
        ("{field}:exists", ["P1", "P2"]),
        ("{field}:missing", ["P3"]),
        ("{field}:null", ["P3"]),
        ("{field}:three", []),
    ],
)
@pytest.mark.parametrize("field", ["categoryIds", "customerSegmentIds"])
def test_products_are_found_by_category_and_segment(
    manager: Api, milk: Product, hidden: Product, field: str, q: str, found: list[str]
) -> None:
    ProductFactory(tenant=milk.tenant, external_id="P3")
    site = SiteFactory(tenant=milk.tenant)
    for name, product in (("one", milk), ("two", hidden)):
        category = CategoryFactory(tenant=milk.tenant, external_id=name)
        CategoryAssignmentFactory(product=product, category=category)
        ItemAssignmentFactory(segment=SegmentFactory(site=site, external_id=name), product=product)
    assert ids(manager.get(PRODUCTS, q=q.format(field=field))) == found
    shown = {row["id"]: row[field] for row in manager.get(PRODUCTS).json()}
    assert shown == {"P1": ["one"], "P2": ["two"], "P3": []}


def test_shoppers_see_neither_segments_nor_hidden_categories(
    anonymous_api: Api, manager: Api, service_api: Callable[..., Api], milk: Product, site: Site
) -> None:
    ItemAssignmentFactory(segment=SegmentFactory(site=site, external_id="gold"), product=milk)
    hidden = CategoryFactory(tenant=milk.tenant, external_id="hidden", is_published=False)
    for category in (
        CategoryFactory(parent=hidden, external_id="below"),
        CategoryFactory(tenant=milk.tenant, external_id="shown"),
    ):
        CategoryAssignmentFactory(product=milk, category=category)
    body = anonymous_api.get(f"{PRODUCTS}/P1").json()
    assert (body["categoryIds"], "customerSegmentIds" in body) == (["shown"], False)
    assert ids(anonymous_api.get(PRODUCTS, q="categoryIds:below")) == []
    assert ids(anonymous_api.get(PRODUCTS, q="categoryIds:shown")) == ["P1"]
    assert anonymous_api.get(PRODUCTS, q="customerSegmentIds:gold").status_code == 400
    body = manager.get(f"{PRODUCTS}/P1").json()
    assert (body["categoryIds"], body["customerSegmentIds"]) == (["shown"], ["gold"])
    assert ids(manager.get(PRODUCTS, q="categoryIds:below")) == []
    reader = service_api(CATEGORY_READ_UNPUBLISHED)
    assert reader.get(f"{PRODUCTS}/P1").json()["categoryIds"] == ["below", "shown"]
    assert ids(reader.get(PRODUCTS, q="categoryIds:below")) == ["P1"]


@pytest.mark.parametrize("q", ["categoryIds:one", "customerSegmentIds:one"])
def test_products_of_a_category_or_segment_are_found_by_index(
    manager: Api, tenant: Tenant, site: Site, q: str
) -> None:
    category = CategoryFactory(tenant=tenant, external_id="one")
    segment = SegmentFactory(site=site, external_id="one")
    for number in range(50):
        CategoryFactory(tenant=tenant, external_id=f"other{number}")
        SegmentFactory(site=site, external_id=f"other{number}")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO catalog_product (tenant_id, external_id, code, name, description, is_published,"
            " product_type, details, mixins, mixin_schemas, version, created_at, modified_at)"
            " SELECT %s, 'n' || n, 'n' || n, '{}', '{}', TRUE, 'BASIC', '{}', '{}', '{}', 1, now(), now()"
            " FROM generate_series(1, 20000) AS n",
            [tenant.pk],
        )
        # a plan for checking foreign keys, made while there were few products, reads them all for each row
        cursor.execute("ANALYZE catalog_product")
        cursor.execute(
            "INSERT INTO catalog_categoryassignment"
            " (tenant_id, external_id, category_id, product_id, created_at)"
            " SELECT %s, 'a' || product.id || '-' || category.id, category.id, product.id, now()"
            " FROM catalog_product AS product JOIN catalog_category AS category"
            " ON category.parent_id IS NOT NULL AND (category.id = %s) = (product.id %% 1000 = 0)"
            " WHERE category.id = %s OR category.id %% 50 = product.id %% 50",
            [tenant.pk, category.pk, category.pk],
        )
        cursor.execute(
            "INSERT INTO segments_itemassignment (tenant_id, segment_id, product_id, includes_subcategories,"
            " mixins, mixin_schemas, version, created_at, modified_at)"
            " SELECT %s, segment.id, product.id, FALSE, '{}', '{}', 1, now(), now()"
            " FROM catalog_product AS product JOIN segments_segment AS segment"
            " ON (segment.id = %s) = (product.id %% 1000 = 0)"
            " WHERE segment.id = %s OR segment.id %% 50 = product.id %% 50",
            [tenant.pk, segment.pk, segment.pk],
        )
        cursor.execute(
            "ANALYZE catalog_category, catalog_categoryassignment, segments_segment, segments_itemassignment"
        )
    with CaptureQueriesContext(connection) as captured:
        assert len(ids(manager.get(PRODUCTS, q=q))) == 20
    [statement] = [query["sql"] for query in captured if "catalog_product" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}".replace("%", "%%"), [])
        [plan] = cursor.fetchone()[0]
    big = {"catalog_product", "catalog_categoryassignment", "segments_itemassignment"}
    assert set(read_whole(plan["Plan"])) & big == set()


def read_whole(plan: JsonObject) -> Iterator[str]:
    """Yield the tables that a plan reads from end to end: as they lie, or in the order of an index."""
    if plan["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan") and "Index Cond" not in plan:
        yield plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from read_whole(below)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("relatedItems.type:CONSUMABLE relatedItems.refId:ink", ["P1", "P2"]),
        ("relatedItems.type:(ACCESSORY,SPARE)", ["P2"]),
        ("relatedItems.refId:~^p", ["P2"]),
        ("relatedItems.rank:>=2", ["P2"]),
        ("relatedItems:exists", ["P1", "P2"]),
        ("relatedItems:missing", ["P3"]),
        ("labelIds:L2", ["P1"]),
        ("labelIds:L9", []),
    ],
)
def test_products_are_found_by_entries_of_their_lists(
    manager: Api, tenant: Tenant, q: str, found: list[str]
) -> None:
    ink = {"refId": "ink", "type": "CONSUMABLE", "rank": 1}
    paper = {"refId": "paper", "type": "ACCESSORY", "rank": 2}
    for product_id, details in (
        ("P1", {"relatedItems": [ink], "labelIds": ["L1", "L2"]}),
        ("P2", {"relatedItems": [paper, ink], "labelIds": []}),
        ("P3", {}),
    ):
        ProductFactory(tenant=tenant, external_id=product_id, details=details)
    assert ids(manager.get(PRODUCTS, q=q)) == found


@pytest.mark.parametrize(
    "query", [{"q": "colour:red"}, {"q": "id:(P1"}, {"sort": "colour"}, {"pageSize": "1001"}]
)
def test_faulty_query_is_refused(manager: Api, query: dict[str, str]) -> None:
    answer = manager.get(PRODUCTS, **query)
    assert (answer.status_code, answer.json()["status"]) == (400, "Bad Request")


@pytest.mark.parametrize("count", [1, 20])
def test_reading_takes_one_statement_kept_or_not(
    manager: Api, tenant: Tenant, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    category = CategoryFactory(tenant=tenant, external_id="K1")
    for product in ProductFactory.create_batch(count, tenant=tenant):
        CategoryAssignmentFactory(product=product, category=category)
    manager.get(f"{PRODUCTS}/P")  # the token is verified, and remembered
    with django_assert_num_queries(1):
        rows = manager.get(PRODUCTS).json()
    with django_assert_num_queries(1):
        assert manager.get(PRODUCTS).json() == rows
    assert [row["categoryIds"] for row in rows] == [["K1"]] * count
    with django_assert_num_queries(1):
        assert manager.get(f"{PRODUCTS}/{product.external_id}").status_code == 200


# Writing one


def test_product_needs_only_a_code_and_a_name(manager: Api, tenant: Tenant) -> None:
    body = {**MILK, "published": None, "productType": None, "mixins": None, "metadata": None, "brandId": None}
    product_id = manager.post(PRODUCTS, body).json()["id"]
    stored = Product.objects.get(tenant=tenant, external_id=product_id)
    assert (stored.is_published, stored.details, stored.mixins) == (False, {}, None)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"code": None}, "code", "code is missing."),
        ({"code": ""}, "code", "code must not be empty."),
        ({"code": " \u00a0\u200b"}, "code", "code must not be empty."),
        ({"name": None}, "name", "name is missing."),
        ({"name": {}}, "name", "name needs a text in at least one language."),
        ({"name": {"en": " \u200b"}}, "name", "name needs a text in at least one language."),
        (
            {"productType": "BUNDLE"},
            "productType",
            "productType must be BASIC.",
        ),
        ({"taxClasses": []}, "taxClasses", "taxClasses must be an object."),
        ({"taxClasses": {"US": 7}}, "taxClasses.US", "taxClasses.US must be a text."),
        ({"relatedItems": {}}, "relatedItems", "relatedItems must be a list."),
        ({"relatedItems": ["P2"]}, "relatedItems[0]", "relatedItems[0] must be an object."),
        ({"labelIds": [1]}, "labelIds[0]", "labelIds[0] must be a text."),
        ({"brandId": 1}, "brandId", "brandId must be a text."),
        ({"weightDependent": "yes"}, "weightDependent", "weightDependent must be true or false."),
        ({"id": "search"}, "id", "The id search is reserved."),
    ],
)
def test_faulty_product_is_refused(
    manager: Api, tenant: Tenant, change: JsonObject, field: str, message: str
) -> None:
    answer = manager.post(PRODUCTS, {**MILK, **change})
    assert answer.status_code == 400
    assert answer.status_code == 400
    [problem] = answer.json()["details"]
    assert (problem["field"], problem["message"], answer.json()["message"]) == (field, message, message)
    assert not Product.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": "a b"}, "id"),
        ({"code": "x" * 201}, "code"),
        ({"code": 7}, "code"),
        ({"name": 7}, "name"),
        ({"name": {"english!": "Milk"}}, "name"),
        ({"published": "true"}, "published"),
        ({"mixins": []}, "mixins"),
        ({"metadata": {"mixins": []}}, "metadata.mixins"),
        ({"metadata": {"version": "1"}}, "metadata.version"),
    ],
)
def test_value_of_the_wrong_type_is_refused_naming_its_field(
    manager: Api, change: JsonObject, field: str
) -> None:
    answer = manager.post(PRODUCTS, {**MILK, **change})
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["details"]] == [field]
    assert not Product.objects.exists()


@pytest.mark.parametrize("body", [[], "milk", None, 7])
def test_body_that_is_no_object_is_refused(manager: Api, body: object) -> None:
    assert manager.post(PRODUCTS, body).status_code == 400
    assert manager.put(f"{PRODUCTS}/P1", body).status_code == 400
    assert not Product.objects.exists()


def test_taken_id_and_code_are_conflicts(manager: Api, milk: Product) -> None:
    taken_id = manager.post(PRODUCTS, {"id": "P1", "code": "tea", "name": {"en": "Tea"}})
    message = "Conflict - a product with the id P1 exists already."
    assert (taken_id.status_code, taken_id.json()) == (
        409,
        refusal(
            409,
            "Conflict",
            message,
            productId="P1",
            details=[{"field": "id", "type": "product_exists", "message": message}],
        ),
    )
    taken_code = manager.post(PRODUCTS, {"id": "P2", **MILK})
    message = "Conflict - another product has the code milk."
    assert (taken_code.status_code, taken_code.json()) == (
        409,
        refusal(
            409,
            "Conflict",
            message,
            details=[{"field": "code", "type": "product_code_taken", "message": message}],
        ),
    )
    assert manager.put(f"{PRODUCTS}/P2", MILK).status_code == 409
    assert list(Product.objects.values_list("external_id", "code")) == [("P1", "milk")]


def test_upsert_creates_and_then_replaces(publisher: Api, tenant: Tenant) -> None:
    created = publisher.put(f"{PRODUCTS}/P1", WHOLE)
    assert (created.status_code, created.json()) == (201, {"id": "P1"})
    replaced = publisher.put(f"{PRODUCTS}/P1", {"code": "oat", "name": {"en": "Oat"}, "published": False})
    assert (replaced.status_code, replaced.content) == (204, b"")
    stored = Product.objects.get(tenant=tenant)
    assert publisher.get(f"{PRODUCTS}/P1").json() == {
        "id": "P1",
        "code": "oat",
        "name": {"en": "Oat"},
        "published": False,
        "productType": "BASIC",
        "customerSegmentIds": [],
        "categoryIds": [],
        "metadata": metadata(stored),
    }
    assert stored.version == 2


def test_upsert_takes_back_what_was_read(publisher: Api, tenant: Tenant) -> None:
    publisher.post(PRODUCTS, WHOLE)
    read = publisher.get(f"{PRODUCTS}/P1").json()
    assert publisher.put(f"{PRODUCTS}/P1", read).status_code == 204
    again = publisher.get(f"{PRODUCTS}/P1").json()
    assert (again.pop("metadata")["version"], read.pop("metadata")["version"]) == (2, 1)
    assert again == read


def test_upsert_with_another_id_in_the_body_is_refused(manager: Api) -> None:
    answer = manager.put(f"{PRODUCTS}/P1", {"id": "P2", **MILK})
    assert (answer.status_code, answer.json()) == (
        400,
        invalid("id", "The id in the body is not the one in the path."),
    )
    assert not Product.objects.exists()


def test_stale_version_is_a_conflict(manager: Api, milk: Product) -> None:
    Product.objects.update(version=3)
    stale = {**MILK, "name": {"en": "New"}, "metadata": {"version": 2}}
    for answer in (
        manager.put(f"{PRODUCTS}/P1", stale),
        manager.put(f"{PRODUCTS}/P1", stale, partial="true"),
        manager.patch(f"{PRODUCTS}/P1", stale),
    ):
        assert (answer.status_code, answer.json()["productId"]) == (409, "P1")
    assert Product.objects.get().name == milk.name
    assert manager.put(f"{PRODUCTS}/P1", {**stale, "metadata": {"version": 3}}).status_code == 204
    assert Product.objects.get().version == 4


def test_partial_upsert_changes_only_what_it_names(manager: Api, milk: Product) -> None:
    Product.objects.update(details={"brandId": "B1"}, description={"en": "Whole"})
    answer = manager.put(
        f"{PRODUCTS}/P1", {"name": {"fr": "Lait"}, "description": None}, partial="true", doIndex="false"
    )
    assert (answer.status_code, answer.content) == (204, b"")
    stored = Product.objects.get()
    assert stored.name == {"en": "Milk", "de": "Milch", "fr": "Lait"}
    assert (stored.code, stored.is_published, stored.details) == ("milk", True, {"brandId": "B1"})
    assert (stored.description, stored.version) == ({}, 2)


def test_partial_upsert_of_an_unknown_product_is_not_found(manager: Api) -> None:
    assert manager.put(f"{PRODUCTS}/P1", MILK, partial="true").status_code == 404
    assert not Product.objects.exists()


def test_patch_takes_both_kinds(manager: Api, milk: Product) -> None:
    merged = manager.patch(f"{PRODUCTS}/P1", {"taxClasses": {"US": "STANDARD"}, "name": {"de": None}})
    operated = manager.patch(
        f"{PRODUCTS}/P1",
        [
            {"op": "replace", "path": "/name/en", "value": "Whole milk"},
            {"op": "add", "path": "/taxClasses/DE", "value": "REDUCED"},
            {"op": "add", "path": "/brandId", "value": "B1"},
        ],
    )
    assert (merged.status_code, operated.status_code) == (204, 204)
    stored = Product.objects.get()
    assert (stored.name, stored.version) == ({"en": "Whole milk"}, 3)
    assert stored.details == {"taxClasses": {"US": "STANDARD", "DE": "REDUCED"}, "brandId": "B1"}


@pytest.mark.parametrize(
    "body",
    [
        {"id": "P2"},
        {"code": None},
        {"productType": "VARIANT"},
        {"metadata": {"createdAt": "2020-01-01T00:00:00.000Z"}},
        [{"op": "replace", "path": "/id", "value": "P2"}],
        [{"op": "remove", "path": "/name"}],
        [{"op": "replace", "path": "/brandId", "value": "B1"}],
        "milk",
    ],
)
def test_faulty_patch_is_refused(manager: Api, milk: Product, body: object) -> None:
    assert manager.patch(f"{PRODUCTS}/P1", body).status_code == 400
    assert Product.objects.get().version == 1


def test_patch_of_another_tenants_product_is_not_found(manager: Api, other_tenant: Tenant) -> None:
    ProductFactory(tenant=other_tenant, external_id="P1", code="theirs")
    assert manager.patch(f"{PRODUCTS}/P1", {"code": "ours"}).status_code == 404
    assert Product.objects.get().code == "theirs"


def test_delete_removes_the_product_and_its_assignments(manager: Api, milk: Product) -> None:
    CategoryAssignmentFactory(product=milk)
    for _ in range(2):
        answer = manager.delete(f"{PRODUCTS}/P1")
        assert (answer.status_code, answer.content) == (204, b"")
    assert not Product.objects.exists()
    assert not CategoryAssignment.objects.exists()


def test_delete_leaves_another_tenants_product(manager: Api, other_tenant: Tenant) -> None:
    ProductFactory(tenant=other_tenant, external_id="P1")
    assert manager.delete(f"{PRODUCTS}/P1").status_code == 204
    assert Product.objects.count() == 1


# Scopes


def test_publishing_needs_its_scope(manager: Api, hidden: Product) -> None:
    for answer in (
        manager.post(PRODUCTS, {"id": "P1", **MILK, "published": True}),
        manager.put(f"{PRODUCTS}/P1", {**MILK, "published": True}),
        manager.put(f"{PRODUCTS}/P2", {**MILK, "published": True}),
        manager.patch(f"{PRODUCTS}/P2", {"published": True}),
    ):
        assert (answer.status_code, answer.json()) == (403, lacking(PRODUCT_PUBLISH))
    assert list(Product.objects.values_list("external_id", "is_published")) == [("P2", False)]


def test_unpublishing_needs_its_scope(service_api: Callable[..., Api], milk: Product) -> None:
    writer = service_api(PRODUCT_MANAGE, PRODUCT_PUBLISH)
    for answer in (
        writer.put(f"{PRODUCTS}/P1", {**MILK, "published": False}),
        writer.patch(f"{PRODUCTS}/P1", {"published": False}),
    ):
        assert (answer.status_code, answer.json()) == (403, lacking(PRODUCT_UNPUBLISH))
    assert Product.objects.get().is_published


def test_published_product_is_changed_and_unpublished_with_the_scopes(publisher: Api, milk: Product) -> None:
    assert publisher.patch(f"{PRODUCTS}/P1", {"published": False}).status_code == 204
    assert not Product.objects.get().is_published
    assert publisher.patch(f"{PRODUCTS}/P1", {"published": True}).status_code == 204
    assert Product.objects.get().is_published


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("post", PRODUCTS, MILK),
        ("put", f"{PRODUCTS}/P1", MILK),
        ("patch", f"{PRODUCTS}/P1", {"code": "tea"}),
        ("delete", f"{PRODUCTS}/P1", None),
        ("post", BULK, [MILK]),
        ("put", BULK, [{"id": "P1", **MILK}]),
    ],
)
def test_writing_needs_a_scope(
    service_api: Callable[..., Api],
    anonymous_api: Api,
    milk: Product,
    method: str,
    address: str,
    body: object,
) -> None:
    reader = service_api(PRODUCT_READ_UNPUBLISHED, CATEGORY_MANAGE)
    for caller in (reader, anonymous_api):
        answer = caller.send(method, address, body)
        assert (answer.status_code, answer.json()["status"]) == (403, "Forbidden")
        assert PRODUCT_MANAGE in answer.json()["message"]
    assert list(Product.objects.values_list("external_id", "code", "version")) == [("P1", "milk", 1)]


def test_token_of_another_tenant_is_refused(
    service_api: Callable[..., Api], other_tenant: Tenant, milk: Product
) -> None:
    foreign = service_api(*ALL, tenant=other_tenant)
    for answer in (
        foreign.get(PRODUCTS),
        foreign.get(f"{PRODUCTS}/P1"),
        foreign.post(f"{PRODUCTS}/search", {}),
        foreign.put(f"{PRODUCTS}/P1", MILK),
        foreign.delete(f"{PRODUCTS}/P1"),
    ):
        assert (answer.status_code, answer.json()) == (
            403,
            refusal(403, "Forbidden", "The token belongs to another tenant."),
        )
    assert Product.objects.get().version == 1


def test_token_is_needed_to_read(milk: Product) -> None:
    answer = Api(None).get(PRODUCTS)
    assert (answer.status_code, list(answer.json())) == (401, ["fault"])


# Bulk


def test_bulk_creation_answers_every_row(manager: Api, milk: Product) -> None:
    answer = manager.post(
        BULK,
        [
            {"id": "P2", "code": "tea", "name": "Tea"},
            {"id": "P1", "code": "oat", "name": "Oat"},
            {"id": "P3", "code": "milk", "name": "Milk"},
            {"id": "P4", "code": "soy", "name": "Soy", "published": True},
            {"id": "P5", "name": "No code"},
            "milk",
            {"id": "P6", "code": "soy", "name": "Soy"},
        ],
        skipRelatedItemsValidation="true",
    )
    assert answer.status_code == 207
    assert answer.json() == [
        {"index": 0, "id": "P2", "code": 201, "status": "CREATED"},
        {
            "index": 1,
            "id": "P1",
            "code": 409,
            "status": "Conflict",
            "message": "Conflict - a product with the id P1 exists already.",
        },
        {
            "index": 2,
            "id": "P3",
            "code": 409,
            "status": "Conflict",
            "message": "Conflict - another product has the code milk.",
        },
        {
            "index": 3,
            "id": "P4",
            "code": 403,
            "status": "Forbidden",
            "message": f"The token lacks the scope {PRODUCT_PUBLISH}.",
        },
        {"index": 4, "code": 400, "status": "Bad Request", "message": "code is missing."},
        {"index": 5, "code": 400, "status": "Bad Request", "message": "The body must be an object."},
        {"index": 6, "id": "P6", "code": 201, "status": "CREATED"},
    ]
    assert set(Product.objects.values_list("external_id", "code")) == {
        ("P1", "milk"),
        ("P2", "tea"),
        ("P6", "soy"),
    }


def test_bulk_creation_generates_ids(manager: Api, tenant: Tenant) -> None:
    rows = manager.post(BULK, [MILK, {"code": "tea", "name": "Tea"}]).json()
    assert [row["code"] for row in rows] == [201, 201]
    assert [row["id"] for row in rows] == list(
        Product.objects.filter(tenant=tenant).order_by("external_id").values_list("external_id", flat=True)
    )


def test_bulk_upsert_answers_every_row(manager: Api, milk: Product) -> None:
    answer = manager.put(
        BULK,
        [
            {"id": "P1", "code": "milk", "name": "Fresh milk"},
            {"id": "P2", "code": "tea", "name": "Tea"},
            {"id": "P2", "code": "tea", "name": "Green tea"},
            {"id": "P1", "code": "milk", "name": "Stale", "metadata": {"version": 1}},
            {"code": "oat", "name": "Oat"},
            {"id": "P1", "code": "milk", "name": "Milk", "published": False},
        ],
        headers={"Content-Language": "de"},
    )
    assert answer.status_code == 207
    assert answer.json() == [
        {"index": 0, "id": "P1", "code": 204, "status": "NO_CONTENT"},
        {"index": 1, "id": "P2", "code": 201, "status": "CREATED"},
        {"index": 2, "id": "P2", "code": 204, "status": "NO_CONTENT"},
        {
            "index": 3,
            "id": "P1",
            "code": 409,
            "status": "Conflict",
            "message": "The resource you are attempting to access has changed: "
            "version 1 was sent, version 2 is stored.",
        },
        {"index": 4, "code": 400, "status": "Bad Request", "message": "id is missing."},
        {
            "index": 5,
            "id": "P1",
            "code": 403,
            "status": "Forbidden",
            "message": f"The token lacks the scope {PRODUCT_UNPUBLISH}.",
        },
    ]
    assert list(
        Product.objects.order_by("external_id").values_list("external_id", "name", "version", "is_published")
    ) == [("P1", {"de": "Fresh milk"}, 2, True), ("P2", {"de": "Green tea"}, 2, False)]


@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.parametrize("body", [{}, [], [MILK] * 201], ids=["object", "empty", "201 entries"])
def test_bulk_body_that_is_no_list_of_200_is_refused_whole(manager: Api, method: str, body: object) -> None:
    answer = manager.send(method, BULK, body)
    assert (answer.status_code, answer.json()["status"]) == (400, "Bad Request")
    assert not Product.objects.exists()


@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.parametrize("count", [1, 200])
def test_bulk_takes_the_same_statements_for_any_number_of_rows(
    manager: Api, tenant: Tenant, method: str, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    rows = [{"id": f"P{number}", "code": f"code-{number}", "name": "Milk"} for number in range(count)]
    with django_assert_num_queries(7):  # two reads, the write, and both ends of two savepoints
        answer = manager.send(method, BULK, rows)
    assert {row["code"] for row in answer.json()} == {201}
    assert Product.objects.filter(tenant=tenant).count() == count
