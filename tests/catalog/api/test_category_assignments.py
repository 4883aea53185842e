from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.http import HttpResponse
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import CATEGORY_MANAGE, SEGMENT_READ
from accounts.models import Site
from catalog.models import Category, CategoryAssignment
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

CATEGORIES = "/category/acme/categories"
URL = f"{CATEGORIES}/a/assignments"
REFERENCES = "/category/acme/assignments/references"


@pytest.fixture
def api(service_api: Callable[..., Api]) -> Api:
    return service_api(CATEGORY_MANAGE)


@pytest.fixture
def shop(tenant: Tenant) -> Tenant:
    """a > (b > c, hidden > below); products p-a, p-b, p-c, p-hidden, p-below in them, p-c also in a."""
    a = CategoryFactory(tenant=tenant, external_id="a")
    b = CategoryFactory(parent=a, external_id="b")
    c = CategoryFactory(parent=b, external_id="c")
    hidden = CategoryFactory(parent=a, external_id="hidden", is_published=False)
    below = CategoryFactory(parent=hidden, external_id="below")
    for category in (a, b, c, hidden, below):
        name = category.external_id
        product = ProductFactory(
            tenant=tenant, external_id=f"p-{name}", name={"en": f"Product {name}", "de": f"Ware {name}"}
        )
        CategoryAssignmentFactory(tenant=tenant, product=product, category=category, external_id=f"as-{name}")
        if name == "c":
            CategoryAssignmentFactory(tenant=tenant, product=product, category=a, external_id="as-c-in-a")
    return tenant


def ids(answer: HttpResponse) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()]


def stored(tenant: Tenant) -> set[tuple[str, str]]:
    return set(
        CategoryAssignment.objects.filter(tenant=tenant).values_list(
            "category__external_id", "product__external_id"
        )
    )


CATEGORY_MISSING = {
    "code": 404,
    "status": "Not Found",
    "message": "Error while getting category",
    "details": ["Category with id 'none' not found"],
    "resourceId": "none",
}
REFERENCE_INVALID = {
    "code": 400,
    "status": "Bad Request",
    "message": "Assignment reference validation failed",
    "details": ["Please provide a valid assignment reference id"],
}


def reference(product_id: str) -> JsonObject:
    return {"ref": {"id": product_id, "type": "PRODUCT"}}


# Reading


def test_an_assignment_shows_the_present_name_of_its_product(public_api: Api, shop: Tenant) -> None:
    assert public_api.get(f"{CATEGORIES}/b/assignments").json() == [
        {
            "id": "as-b",
            "categoryId": "b",
            "ref": {
                "id": "p-b",
                "type": "PRODUCT",
                "localizedName": {"en": "Product b", "de": "Ware b"},
            },
        }
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["as-a", "as-c-in-a"]),
        ({"withSubcategories": "true"}, ["as-a", "as-b", "as-c", "as-c-in-a"]),
        (
            {"withSubcategories": "true", "showUnpublished": "true"},
            ["as-a", "as-b", "as-c", "as-c-in-a", "as-hidden", "as-below"],
        ),
        ({"withSubcategories": "true", "ref.id": "p-c"}, ["as-c", "as-c-in-a"]),
        ({"ref.id": "none"}, []),
        ({"withSubcategories": "true", "ref.localizedName": "product B"}, ["as-b"]),
        ({"ref.localizedName": "ware a"}, ["as-a"]),
        ({"assignmentType": "PRODUCT", "sort": "id:desc"}, ["as-c-in-a", "as-a"]),
        (
            {"withSubcategories": "true", "sort": "ref.localizedName.de:desc", "pageSize": "2"},
            ["as-c", "as-c-in-a"],
        ),
        ({"q": "ref.id:p-c"}, ["as-c-in-a"]),
        ({"withSubcategories": "true", "q": "categoryId:(b,c)"}, ["as-b", "as-c"]),
    ],
)
def test_filters_of_the_list(api: Api, shop: Tenant, query: dict[str, str], expected: list[str]) -> None:
    assert ids(api.get(URL, **query)) == expected


def test_names_are_searched_in_the_accepted_languages(api: Api, shop: Tenant) -> None:
    query = {"ref.localizedName": "ware a"}
    assert ids(api.get(URL, **query, headers={"Accept-Language": "en"})) == []
    assert ids(api.get(URL, **query, headers={"Accept-Language": "de"})) == ["as-a"]


def test_unpublished_products_are_hidden_on_request(api: Api, shop: Tenant) -> None:
    ProductFactory._meta.model.objects.filter(external_id="p-a").update(is_published=False)
    assert ids(api.get(URL)) == ["as-a", "as-c-in-a"]
    assert ids(api.get(URL, hideUnpublishedProducts="true")) == ["as-c-in-a"]


def test_categories_of_another_branch_or_tenant_play_no_part(
    api: Api, shop: Tenant, other_tenant: Tenant
) -> None:
    other = CategoryFactory(tenant=other_tenant, external_id="a")
    CategoryAssignmentFactory(
        tenant=other_tenant, category=other, product__tenant=other_tenant, external_id="theirs"
    )
    assert ids(api.get(f"{CATEGORIES}/b/assignments", withSubcategories="true")) == ["as-b", "as-c"]
    assert "theirs" not in ids(api.get(URL, withSubcategories="true"))


@pytest.mark.parametrize("category", ["none", "hidden"])
def test_assignments_of_what_cannot_be_seen_are_not_found(
    public_api: Api, shop: Tenant, category: str
) -> None:
    answer = public_api.get(f"{CATEGORIES}/{category}/assignments")
    assert (answer.status_code, answer.json()["resourceId"]) == (404, category)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"showUnpublished": "true"}, 403),
        ({"assignmentType": "CATEGORY"}, 400),
        ({"withSubcategories": "x"}, 400),
        ({"q": "nothing:1"}, 400),
        ({"segmentsIds": ",".join(["s"] * 201)}, 400),
    ],
)
def test_faulty_parameters_are_refused(
    public_api: Api, shop: Tenant, query: dict[str, str], status: int
) -> None:
    assert public_api.get(URL, **query).status_code == status


@pytest.mark.parametrize("size", [1, 20])
def test_the_list_takes_two_statements_and_one_to_count(
    public_api: Api,
    tenant: Tenant,
    site: Site,
    size: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    category = CategoryFactory(tenant=tenant, external_id="a")
    segment = SegmentFactory(site=site, external_id="s")
    ItemAssignmentFactory(segment=segment, category=category, product=None)
    for _ in range(size):
        CategoryAssignmentFactory(tenant=tenant, product__tenant=tenant, category=category)
    public_api.get(URL)
    query = {"withSubcategories": "true", "segmentsIds": "s"}
    with django_assert_num_queries(2):
        assert len(public_api.get(URL, **query).json()) == size
    with django_assert_num_queries(1):
        assert len(public_api.get(URL, **query).json()) == size
    with django_assert_num_queries(3):
        counted = public_api.get(URL, **query, headers={"X-Total-Count": "true"})
    assert counted["X-Total-Count"] == str(size)


# Segments


def test_segments_keep_assignments_of_their_categories(
    public_api: Api, shop: Tenant, site: Site, now: datetime
) -> None:
    category = {row.external_id: row for row in Category.objects.filter(tenant=shop)}
    direct = SegmentFactory(site=site, external_id="direct")
    ItemAssignmentFactory(segment=direct, category=category["b"], product=None)
    deep = SegmentFactory(site=site, external_id="deep")
    ItemAssignmentFactory(segment=deep, category=category["b"], product=None, includes_subcategories=True)
    closed = SegmentFactory(site=site, external_id="closed", valid_to=now - timedelta(days=1))
    ItemAssignmentFactory(segment=closed, category=category["c"], product=None)
    for query, expected in [
        ("direct", ["as-b"]),
        ("deep", ["as-b", "as-c"]),
        ("direct,deep", ["as-b", "as-c"]),
        ("closed", []),
        ("none", []),
    ]:
        assert ids(public_api.get(URL, withSubcategories="true", segmentsIds=query)) == expected


def test_a_customer_names_only_own_segments(
    customer_api: Callable[..., Api], service_api: Callable[..., Api], shop: Tenant, site: Site
) -> None:
    customer = CustomerFactory(tenant=shop)
    for name, category in [("mine", "b"), ("theirs", "c")]:
        segment = SegmentFactory(site=site, external_id=name)
        chosen = Category.objects.get(tenant=shop, external_id=category)
        ItemAssignmentFactory(segment=segment, category=chosen, product=None)
        if name == "mine":
            CustomerAssignmentFactory(segment=segment, customer=customer)
    query = {"withSubcategories": "true", "segmentsIds": "mine,theirs"}
    assert ids(customer_api(customer).get(URL, **query)) == ["as-b"]
    assert ids(service_api(SEGMENT_READ).get(URL, **query)) == ["as-b", "as-c"]


def test_an_answer_that_depends_on_the_customer_is_private(
    customer_api: Callable[..., Api], public_api: Api, shop: Tenant, site: Site
) -> None:
    segment = SegmentFactory(site=site, external_id="mine")
    chosen = Category.objects.get(tenant=shop, external_id="a")
    ItemAssignmentFactory(segment=segment, category=chosen, product=None)
    membership = CustomerAssignmentFactory(segment=segment, customer__tenant=shop)
    api = customer_api(membership.customer)
    answer = api.get(URL, segmentsIds="mine")
    assert ids(answer) == ["as-a", "as-c-in-a"]
    assert answer["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Accept-Language"} <= {word.strip() for word in answer["Vary"].split(",")}
    held = {"If-None-Match": answer["ETag"]}
    assert api.get(URL, segmentsIds="mine", headers=held).status_code == 304
    membership.delete()
    assert ids(api.get(URL, segmentsIds="mine", headers=held)) == []
    assert public_api.get(URL, segmentsIds="mine", headers=held).status_code == 304  # it names any segment


# Writing


def test_a_product_is_assigned_once(api: Api, shop: Tenant) -> None:
    ProductFactory(tenant=shop, external_id="new")
    made = api.post(URL, reference("new"))
    assert made.status_code == 201
    assert made.json() == {"id": CategoryAssignment.objects.get(product__external_id="new").external_id}
    again = api.post(URL, reference("new"))
    assert (again.status_code, again.json()) == (
        409,
        {
            "code": 409,
            "status": "Conflict",
            "message": "Error while assigning a resource",
            "details": ["Resource with id 'new' is already assigned to the category"],
            "resourceId": "new",
        },
    )


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (reference("none"), "Please provide a valid assignment reference id"),
        ({"ref": {"type": "PRODUCT"}}, "ref.id is missing."),
        ({"ref": {"id": "", "type": "PRODUCT"}}, "ref.id must not be empty."),
        ({"ref": {"id": "p-b"}}, "ref.type is missing."),
        ({"ref": {"id": "p-b", "type": "CATEGORY"}}, "ref.type must be PRODUCT."),
        ({}, "ref is missing."),
        (None, "ref is missing."),
    ],
)
def test_a_faulty_reference_is_refused(api: Api, shop: Tenant, body: object, detail: str) -> None:
    before = stored(shop)
    answer = api.post(URL, body)
    assert (answer.status_code, answer.json()) == (400, {**REFERENCE_INVALID, "details": [detail]})
    assert stored(shop) == before


def test_a_product_of_another_tenant_cannot_be_assigned(api: Api, shop: Tenant, other_tenant: Tenant) -> None:
    ProductFactory(tenant=other_tenant, external_id="theirs")
    assert api.post(URL, reference("theirs")).status_code == 400
    assert api.put(f"{URL}/references/theirs").status_code == 400


def test_upsert_by_reference_creates_and_then_changes_nothing(api: Api, shop: Tenant) -> None:
    ProductFactory(tenant=shop, external_id="new")
    created = api.put(f"{URL}/references/new")
    assert (created.status_code, list(created.json())) == (201, ["id"])
    again = api.put(f"{URL}/references/new")
    assert (again.status_code, again.content) == (204, b"")
    assert ("a", "new") in stored(shop)


def test_bulk_creation_reports_each_row_from_zero(api: Api, shop: Tenant) -> None:
    ProductFactory(tenant=shop, external_id="new")
    answer = api.post(
        f"{URL}/bulk",
        [reference("new"), reference("new"), reference("p-a"), reference("none"), {"ref": {}}, 5],
    )
    made = CategoryAssignment.objects.get(product__external_id="new").external_id
    assert answer.status_code == 207
    assert answer.json() == [
        {"assignmentId": made, "productId": "new", "index": 0, "code": 201, "status": "CREATED"},
        {
            "productId": "new",
            "index": 1,
            "code": 409,
            "status": "Conflict",
            "message": "Resource with id 'new' is already assigned to the category",
        },
        {
            "productId": "p-a",
            "index": 2,
            "code": 409,
            "status": "Conflict",
            "message": "Resource with id 'p-a' is already assigned to the category",
        },
        {
            "productId": "none",
            "index": 3,
            "code": 400,
            "status": "Bad Request",
            "message": "Please provide a valid assignment reference id",
        },
        {
            "index": 4,
            "code": 400,
            "status": "Bad Request",
            "message": "ref.id is missing. ref.type is missing.",
        },
        {
            "index": 5,
            "code": 400,
            "status": "Bad Request",
            "message": "The body must be an object.",
        },
    ]


def test_bulk_upsert_reports_each_row_from_zero(api: Api, shop: Tenant) -> None:
    ProductFactory(tenant=shop, external_id="new")
    answer = api.put(
        f"{URL}/references/bulk",
        [{"ref": {"id": "new"}}, {"ref": {"id": "new"}}, {"ref": {"id": "p-a"}}, {"ref": {"id": "none"}}],
    )
    made = CategoryAssignment.objects.get(product__external_id="new").external_id
    assert answer.json() == [
        {"assignmentId": made, "productId": "new", "index": 0, "code": 201, "status": "CREATED"},
        {"assignmentId": made, "productId": "new", "index": 1, "code": 204, "status": "NO CONTENT"},
        {"assignmentId": "as-a", "productId": "p-a", "index": 2, "code": 204, "status": "NO CONTENT"},
        {
            "productId": "none",
            "index": 3,
            "code": 400,
            "status": "Bad Request",
            "message": "Please provide a valid assignment reference id",
        },
    ]


@pytest.mark.parametrize("size", [1, 200])
def test_bulk_takes_the_same_statements_whatever_the_number_of_rows(
    api: Api, tenant: Tenant, size: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    CategoryFactory(tenant=tenant, external_id="a")
    rows = [{"ref": {"id": ProductFactory(tenant=tenant).external_id}} for _ in range(size)]
    api.get(URL)
    with django_assert_num_queries(6):
        api.put(f"{URL}/references/bulk", rows)
    assert len(stored(tenant)) == size


@pytest.mark.parametrize("body", [{}, [], None, [reference("p-a")] * 201])
def test_a_bulk_body_of_the_wrong_shape_is_refused_whole(api: Api, shop: Tenant, body: object) -> None:
    before = stored(shop)
    for answer in (api.post(f"{URL}/bulk", body), api.put(f"{URL}/references/bulk", body)):
        assert answer.status_code == 400
    assert stored(shop) == before


def test_deletions_take_what_they_name(api: Api, shop: Tenant) -> None:
    everything = stored(shop)
    assert api.delete(f"{URL}/as-a").status_code == 204
    assert stored(shop) == everything - {("a", "p-a")}
    assert api.delete(f"{URL}/references/p-c").status_code == 204
    assert stored(shop) == everything - {("a", "p-a"), ("a", "p-c")}
    assert api.delete(f"{CATEGORIES}/b/assignments", assignmentType="PRODUCT").status_code == 204
    assert stored(shop) == everything - {("a", "p-a"), ("a", "p-c"), ("b", "p-b")}
    assert api.delete(f"{CATEGORIES}/b/assignments").status_code == 204
    assert api.delete(f"{REFERENCES}/p-c").status_code == 204
    assert stored(shop) == {("hidden", "p-hidden"), ("below", "p-below")}


@pytest.mark.parametrize("path", ["as-b", "none", "references/p-b", "references/none"])
def test_what_the_category_lacks_is_not_found(api: Api, shop: Tenant, path: str) -> None:
    before = stored(shop)
    answer = api.delete(f"{URL}/{path}")
    assert (answer.status_code, answer.json()["message"]) == (
        404,
        "Error while getting category assignment",
    )
    assert stored(shop) == before


def test_a_product_that_is_nowhere_has_nothing_to_delete(api: Api, shop: Tenant) -> None:
    ProductFactory(tenant=shop, external_id="loose")
    for product in ("loose", "none"):
        answer = api.delete(f"{REFERENCES}/{product}")
        assert (answer.status_code, answer.json()) == (
            404,
            {
                "code": 404,
                "status": "Not Found",
                "message": "Error while getting category reference",
                "details": [f"Reference id {product} not found"],
                "resourceId": product,
            },
        )


def test_every_write_needs_a_known_category_and_the_scope(api: Api, public_api: Api, shop: Tenant) -> None:
    before = stored(shop)
    for method, path, body in [
        ("post", "", reference("p-a")),
        ("post", "/bulk", [reference("p-a")]),
        ("put", "/references/bulk", [reference("p-a")]),
        ("put", "/references/p-a", None),
        ("delete", "", None),
        ("delete", "/as-a", None),
        ("delete", "/references/p-a", None),
    ]:
        missing = api.send(method, f"{CATEGORIES}/none/assignments{path}", body)
        assert (missing.status_code, missing.json()) == (404, CATEGORY_MISSING)
        refused = public_api.send(method, f"{URL}{path}", body)
        assert (refused.status_code, refused.json()["details"]) == (
            403,
            ["Required scope(s): category.category_manage"],
        )
    assert public_api.delete(f"{REFERENCES}/p-a").status_code == 403
    assert stored(shop) == before


# Categories of a product


def test_categories_of_a_product(api: Api, public_api: Api, shop: Tenant) -> None:
    answer = public_api.get(f"{REFERENCES}/p-c")
    assert ids(answer) == ["a", "c"]
    assert "supercategoriesIds" not in answer.json()[1]
    expanded = public_api.get(f"{REFERENCES}/p-c", expandSupercategoriesIds="true").json()
    assert [row["supercategoriesIds"] for row in expanded] == [[], ["a", "b"]]
    assert ids(public_api.get(f"{REFERENCES}/p-hidden")) == []
    assert ids(api.get(f"{REFERENCES}/p-hidden", showUnpublished="true")) == ["hidden"]
    assert public_api.get(f"{REFERENCES}/p-c", showUnpublished="true").status_code == 403


def test_categories_of_an_unknown_product_are_not_found(public_api: Api, shop: Tenant) -> None:
    answer = public_api.get(f"{REFERENCES}/none")
    assert (answer.status_code, answer.json()) == (
        404,
        {
            "code": 404,
            "status": "Not Found",
            "message": "Error while getting categories for assignment reference",
            "details": ["Categories for assignment reference with id 'none' not found"],
            "resourceId": "none",
        },
    )
