"""Items of segments over HTTP: products and categories, one by one, in bulk, and across segments."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import SEGMENT_READ_OWN
from accounts.models import Customer, Site
from catalog.models import Category, Product
from core.tenancy.models import Tenant
from segments.models import ItemAssignment, Segment
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory
from tests.segments.api.conftest import THEN

SEGMENTS = "/customer-segment/acme/segments"
ITEMS = f"{SEGMENTS}/gold/items"
STAMPS = {
    "createdAt": "2024-05-14T12:00:00.000Z",
    "modifiedAt": "2024-05-14T12:00:00.000Z",
    "version": 1,
}
HAMMER = {
    "segmentId": "gold",
    "item": {"id": "P1", "code": "123", "name": {"en": "Hammer", "de": "Hammer!"}},
    "type": "PRODUCT",
    "metadata": STAMPS,
}
TOOLS = {
    "segmentId": "gold",
    "item": {"id": "K1", "code": "T", "name": {"en": "Tools"}},
    "type": "CATEGORY",
    "includeSubcategories": False,
    "metadata": STAMPS,
}
DAY = timedelta(days=1)


@pytest.fixture
def hammer(site: Site) -> Product:
    return ProductFactory(
        tenant=site.tenant, external_id="P1", code="123", name={"en": "Hammer", "de": "Hammer!"}
    )


@pytest.fixture
def tools(site: Site) -> Category:
    return CategoryFactory(tenant=site.tenant, external_id="K1", code="T", name={"en": "Tools"})


@pytest.fixture
def assigned(gold: Segment, hammer: Product, tools: Category) -> tuple[ItemAssignment, ItemAssignment]:
    stamps = {"created_at": THEN, "modified_at": THEN}
    return (
        ItemAssignmentFactory(segment=gold, product=hammer, **stamps),
        ItemAssignmentFactory(segment=gold, product=None, category=tools, **stamps),
    )


def test_a_product_and_a_category_are_shown_with_code_and_name(
    reader: Api, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    assert reader.get(ITEMS).json() == [HAMMER, TOOLS]
    assert reader.get(f"{ITEMS}/PRODUCT/P1").json() == HAMMER
    assert reader.get(f"{ITEMS}/category/K1").json() == TOOLS
    assert reader.get(f"{SEGMENTS}/items").json() == [HAMMER, TOOLS]


def test_items_are_searched_by_their_fields(
    reader: Api, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    def found(q: str) -> object:
        return reader.post(f"{ITEMS}/search", {"q": q}).json()

    assert found("type:PRODUCT") == [HAMMER]
    assert found("type:(CATEGORY,OTHER)") == [TOOLS]
    assert found("type:CATEGORY item.name.en:Tools includeSubcategories:false") == [TOOLS]
    assert found("segmentId:gold item.code:123") == [HAMMER]
    assert found("type:product") == []
    assert reader.get(f"{SEGMENTS}/items", q="type:PRODUCT", sort="item.name.en:desc").json() == [HAMMER]


def test_items_are_sorted_and_cut_to_languages(
    reader: Api, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    answer = reader.get(ITEMS, sort="item.name.en:desc", fields="item", headers={"Accept-Language": "de"})

    assert answer.json() == [
        {"item": {"id": "K1", "code": "T", "name": {"en": "Tools"}}},
        {"item": {"id": "P1", "code": "123", "name": {"de": "Hammer!"}}},
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("gold/items/PRODUCT/P9", 404),
        ("gold/items/CATEGORY/P1", 404),
        ("silver/items/PRODUCT/P1", 404),
        ("silver/items", 404),
        ("gold/items/THING/P1", 400),
        ("gold/items/CATEGORY/%2F", 404),
    ],
)
def test_an_assignment_that_does_not_exist_is_not_found(
    reader: Api, assigned: tuple[ItemAssignment, ItemAssignment], path: str, status: int
) -> None:
    assert reader.get(f"{SEGMENTS}/{path}").status_code == status


def test_an_upsert_creates_then_replaces(manager: Api, gold: Segment, tools: Category) -> None:
    created = manager.put(
        f"{ITEMS}/CATEGORY/K1",
        {
            "includeSubcategories": True,
            "mixins": {"shelf": {"row": 3}},
            "metadata": {"mixins": {"shelf": "https://example.com/shelf.json"}},
            "validity": {"from": "2024-01-01T00:00:00Z"},
        },
    )
    first = manager.get(f"{ITEMS}/CATEGORY/K1").json()
    replaced = manager.put(f"{ITEMS}/Category/K1")
    second = manager.get(f"{ITEMS}/CATEGORY/K1").json()

    assert (created.status_code, created.content, replaced.status_code) == (201, b"", 204)
    for body in (first, second):
        assert body["metadata"].pop("createdAt") <= body["metadata"].pop("modifiedAt")
    assert first == {
        **TOOLS,
        "includeSubcategories": True,
        "validity": {"from": "2024-01-01T00:00:00.000Z"},
        "mixins": {"shelf": {"row": 3}},
        "metadata": {"version": 1, "mixins": {"shelf": "https://example.com/shelf.json"}},
    }
    assert second == {**TOOLS, "metadata": {"version": 2}}


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("PRODUCT/P9", {}, 400, "There is no product P9."),
        ("CATEGORY/P1", {}, 400, "There is no category P1."),
        ("THING/P1", {}, 400, "The type of an item is PRODUCT or CATEGORY, not THING."),
        ("PRODUCT/P1", {"includeSubcategories": True}, 400, "A product has no subcategories."),
        ("CATEGORY/K1", {"includeSubcategories": "yes"}, 400, "includeSubcategories must be true or false."),
        ("PRODUCT/P1", {"mixins": []}, 400, "mixins must be an object."),
        ("PRODUCT/P1", {"metadata": {"version": -1}}, 400, "metadata.version must be at least 0."),
        ("PRODUCT/P1", {"metadata": {"version": 2}}, 409, None),
    ],
)
def test_an_upsert_that_breaks_a_rule_is_refused(
    manager: Api,
    assigned: tuple[ItemAssignment, ItemAssignment],
    path: str,
    body: object,
    status: int,
    message: str | None,
) -> None:
    answer = manager.put(f"{ITEMS}/{path}", body)

    assert answer.status_code == status
    if message:
        assert answer.json()["message"] == message
    assert sorted(ItemAssignment.objects.values_list("version", flat=True)) == [1, 1]


def test_an_assignment_to_an_unknown_segment_is_not_found(manager: Api, hammer: Product) -> None:
    assert manager.put(f"{ITEMS}/PRODUCT/P1", {}).status_code == 404


def test_deleting_an_assignment_twice_is_no_fault(
    manager: Api, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    for _ in range(2):
        assert manager.delete(f"{ITEMS}/PRODUCT/P1").status_code == 204
        assert list(ItemAssignment.objects.all()) == [assigned[1]]
    assert manager.delete(f"{SEGMENTS}/silver/items/PRODUCT/P1").status_code == 204
    assert manager.delete(f"{ITEMS}/THING/P1").status_code == 400


def test_a_bulk_upsert_reports_every_row_and_a_bad_one_spoils_no_other(
    manager: Api, assigned: tuple[ItemAssignment, ItemAssignment], site: Site
) -> None:
    ProductFactory(tenant=site.tenant, external_id="P2")
    answer = manager.put(
        f"{ITEMS}/product/bulk",
        [
            {"id": "P1", "metadata": {"version": 1}},
            {"id": "P9"},
            {"id": "P1", "metadata": {"version": 1}},
            {"id": "P2", "mixins": {"a": None}},
            {"id": "P2"},
            {"id": 5},
            None,
            {"id": "P2", "validity": "always"},
            {"id": "P2", "includeSubcategories": True},
        ],
    )

    bad = {"code": 400, "status": "Bad Request"}
    conflict = (
        "The resource you are attempting to access has changed: version 1 was sent, version 2 is stored."
    )
    assert answer.status_code == 207
    assert answer.json() == [
        {"index": 1, "code": 204, "status": "OK"},
        {"index": 2, **bad, "message": "There is no product P9."},
        {"index": 3, "code": 409, "status": "Conflict", "message": conflict},
        {"index": 4, "code": 201, "status": "Created"},
        {"index": 5, "code": 204, "status": "OK"},
        {"index": 6, **bad, "message": "id must be a text."},
        {"index": 7, **bad, "message": "The body must be an object."},
        {"index": 8, **bad, "message": "validity must be an object."},
        {"index": 9, **bad, "message": "A product has no subcategories."},
    ]
    stored = ItemAssignment.objects.filter(product__isnull=False).order_by("product__external_id")
    assert list(stored.values_list("product__external_id", "version", "mixins")) == [
        ("P1", 2, None),
        ("P2", 2, None),
    ]


@pytest.mark.parametrize("body", [None, {}, [], [{"id": "P1"}] * 201])
@pytest.mark.parametrize("method", ["put", "delete"])
def test_a_bulk_body_that_is_no_list_of_1_to_200_is_refused_whole(
    manager: Api, gold: Segment, hammer: Product, method: str, body: object
) -> None:
    assert manager.send(method, f"{ITEMS}/PRODUCT/bulk", body).status_code == 400
    assert not ItemAssignment.objects.exists()


def test_a_bulk_deletion_reports_every_row(
    manager: Api, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    answer = manager.delete(f"{ITEMS}/CATEGORY/bulk", ["K1", "K1", "K9", 7])

    assert answer.status_code == 207
    assert answer.json() == [
        *({"index": index, "code": 204, "status": "OK"} for index in (1, 2, 3)),
        {
            "index": 4,
            "code": 400,
            "status": "Bad Request",
            "message": "id must be a text of 1 to 128 characters.",
        },
    ]
    assert list(ItemAssignment.objects.all()) == [assigned[0]]


@pytest.mark.parametrize("size", [1, 200])
def test_a_bulk_upsert_takes_as_many_statements_for_1_row_as_for_200(
    manager: Api, gold: Segment, site: Site, size: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    products = ProductFactory.create_batch(size, tenant=site.tenant)
    body = [{"id": product.external_id, "metadata": {"version": 1}} for product in products]
    manager.get(ITEMS)
    with django_assert_num_queries(
        2 + 2
    ):  # and a savepoint instead of the transaction, inside that of the test
        answer = manager.put(f"{ITEMS}/PRODUCT/bulk", body)
    assert [entry["code"] for entry in answer.json()] == [201] * size


@pytest.mark.parametrize("size", [1, 20])
def test_a_shoppers_items_take_two_statements_and_one_to_count(
    gold: Segment,
    customer: Customer,
    customer_api: Callable[..., Api],
    size: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for segment in (gold, SegmentFactory(site=gold.site)):
        CustomerAssignmentFactory(segment=segment, customer=customer)
        ItemAssignmentFactory.create_batch(size, segment=segment)
    shopper = customer_api(customer)
    shopper.get(SEGMENTS)
    with django_assert_num_queries(2):
        assert len(shopper.get(f"{SEGMENTS}/items").json()) == 2 * size
    with django_assert_num_queries(3):
        answer = shopper.get(f"{SEGMENTS}/items", headers={"X-Total-Count": "true"})
    assert answer["X-Total-Count"] == str(2 * size)


def test_a_shopper_sees_the_items_of_own_effective_segments_that_count_now(
    gold: Segment,
    assigned: tuple[ItemAssignment, ItemAssignment],
    customer: Customer,
    customer_api: Callable[..., Api],
) -> None:
    ended = SegmentFactory(site=gold.site, external_id="ended", valid_to=THEN)
    for segment in (gold, ended):
        CustomerAssignmentFactory(segment=segment, customer=customer)
    for segment in (ended, SegmentFactory(site=gold.site)):
        ItemAssignmentFactory(segment=segment, product=assigned[0].product)
    ItemAssignmentFactory(segment=gold, valid_to=THEN)
    shopper = customer_api(customer)

    assert shopper.get(f"{SEGMENTS}/items").json() == [HAMMER, TOOLS]
    assert shopper.get(f"{SEGMENTS}/items", onlyActive="false").json() == [HAMMER, TOOLS]
    assert shopper.get(ITEMS).json() == [HAMMER, TOOLS]
    assert shopper.post(f"{ITEMS}/search", {"q": "type:CATEGORY"}).json() == [TOOLS]
    assert shopper.get(f"{ITEMS}/PRODUCT/P1").json() == HAMMER
    for path in ("ended/items", "ended/items/PRODUCT/P1", "gold/items/PRODUCT/P9"):
        assert shopper.get(f"{SEGMENTS}/{path}").status_code == 404


def test_an_item_of_two_segments_is_listed_for_each(
    gold: Segment, hammer: Product, customer: Customer, customer_api: Callable[..., Api]
) -> None:
    for segment in (gold, SegmentFactory(site=gold.site, external_id="silver")):
        CustomerAssignmentFactory(segment=segment, customer=customer)
        ItemAssignmentFactory(segment=segment, product=hammer)
    items = customer_api(customer).get(f"{SEGMENTS}/items").json()

    assert [(row["segmentId"], row["item"]["id"]) for row in items] == [("gold", "P1"), ("silver", "P1")]


def test_staff_sees_all_items_or_those_that_count_now(
    reader: Api, gold: Segment, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    ended = SegmentFactory(site=gold.site, external_id="ended", valid_to=THEN)
    ItemAssignmentFactory(segment=ended, product=assigned[0].product)
    closed = ItemAssignmentFactory(segment=gold, valid_to=THEN)

    def ids(**query: str) -> list[tuple[str, str]]:
        rows = reader.get(f"{SEGMENTS}/items", **query).json()
        return [(row["segmentId"], row["item"]["id"]) for row in rows]

    all_rows = [("gold", "P1"), ("gold", "K1"), ("ended", "P1"), ("gold", closed.product.external_id)]
    assert ids() == all_rows
    assert ids(onlyActive="true") == [("gold", "P1"), ("gold", "K1")]
    assert ids(siteCode="main") == all_rows
    past = reader.get(f"{SEGMENTS}/items", onlyActive="true", asOf="2024-05-01T00:00:00Z")
    assert past.status_code == 400  # before the journal begins; see test_past.py


def test_a_site_keeps_its_own_items(
    reader: Api, gold: Segment, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    SiteFactory(tenant=gold.tenant, code="outlet")

    assert reader.get(f"{SEGMENTS}/items", siteCode="outlet").json() == []
    answer = reader.get(f"{SEGMENTS}/items", siteCode="moon")
    assert (answer.status_code, answer.json()["message"]) == (400, "There is no site moon.")


def test_staff_previews_what_a_customer_would_see(
    reader: Api,
    gold: Segment,
    assigned: tuple[ItemAssignment, ItemAssignment],
    customer: Customer,
    now: datetime,
) -> None:
    CustomerAssignmentFactory(segment=gold, customer=customer, valid_from=now + DAY)
    later = (now + 2 * DAY).isoformat()

    assert reader.get(f"{SEGMENTS}/items", customerId="C1").json() == []
    assert reader.get(f"{SEGMENTS}/items", customerId="C1", asOf=later).json() == [HAMMER, TOOLS]
    assert reader.get(f"{SEGMENTS}/items", customerId="nobody", asOf=later).json() == []
    assert reader.get(SEGMENTS, customerId="C1", asOf=later).json()[0]["id"] == "gold"
    assert reader.get(f"{SEGMENTS}/items", customerId="C1", legalEntityId="L9").status_code == 403
    assert reader.get(f"{SEGMENTS}/items", customerId="C1", asOf="tomorrow").status_code == 400


@pytest.mark.parametrize("query", [{"customerId": "C1"}, {"asOf": "2024-05-01T00:00:00Z"}])
@pytest.mark.parametrize("path", ["", "/items", "/items/category-trees"])
def test_a_preview_needs_the_scope_to_read_all(
    service_api: Callable[..., Api], site: Site, path: str, query: dict[str, str]
) -> None:
    answer = service_api(SEGMENT_READ_OWN).get(f"{SEGMENTS}{path}", **query)

    assert answer.status_code == 403
    assert answer.json()["message"] == "The token lacks the scope customersegment.segment_read."


def test_deleting_a_product_or_a_customer_removes_its_assignments(
    gold: Segment, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    member = CustomerAssignmentFactory(segment=gold, customer=CustomerFactory(tenant=gold.tenant))
    for gone in (assigned[0].product, assigned[1].category, member.customer):
        rows = type(gone)._base_manager.filter(pk=gone.pk)
        rows._raw_delete(rows.db)

    assert not ItemAssignment.objects.exists()
    assert not gold.customer_assignments.exists()


def test_ids_of_another_tenant_are_unknown(manager: Api, gold: Segment, other_tenant: Tenant) -> None:
    ProductFactory(tenant=other_tenant, external_id="P7")
    CategoryFactory(tenant=other_tenant, external_id="K7")

    for path in ("PRODUCT/P7", "CATEGORY/K7"):
        assert manager.put(f"{ITEMS}/{path}", {}).status_code == 400
    assert manager.put(f"{ITEMS}/CATEGORY/bulk", [{"id": "/"}]).json()[0]["code"] == 400


def test_an_assignment_keeps_the_moment_of_its_creation(
    manager: Api, assigned: tuple[ItemAssignment, ItemAssignment]
) -> None:
    manager.put(f"{ITEMS}/PRODUCT/P1", {})

    stored = ItemAssignment.objects.get(product__external_id="P1")
    assert stored.created_at == THEN
    assert stored.modified_at > datetime(2025, 1, 1, tzinfo=UTC)


def test_pages_over_several_segments_go_on_in_one_order(
    gold: Segment, customer: Customer, customer_api: Callable[..., Api]
) -> None:
    """Pages by number and by cursor, forwards and back, though each segment is read from its beginning."""
    segments = [gold, SegmentFactory(site=gold.site), SegmentFactory(site=gold.site)]
    for segment in segments:
        CustomerAssignmentFactory(segment=segment, customer=customer)
    made = [
        ItemAssignmentFactory(segment=segments[index]).product.external_id
        for index in (0, 0, 1, 0, 2, 1, 1, 0, 2)
    ]
    shopper = customer_api(customer)

    def page(**query: str) -> tuple[list[str], Any]:
        answer = shopper.get(f"{SEGMENTS}/items", pageSize="4", fields="item", **query)
        return [row["item"]["id"] for row in answer.json()], answer

    assert [page(pageNumber=number)[0] for number in "1234"] == [made[:4], made[4:8], made[8:], []]
    first, answer = page()
    second, answer = page(next=answer["X-Next-Cursor"])
    third, last = page(next=answer["X-Next-Cursor"])
    assert [first, second, third] == [made[:4], made[4:8], made[8:]]
    assert not last.has_header("X-Next-Cursor")
    assert page(prev=last["X-Prev-Cursor"])[0] == made[4:8]
    assert page(sort="item.id:desc")[0] == sorted(made, reverse=True)[:4]
    assert page(q=f"item.id:({made[1]},{made[6]})")[0] == [made[1], made[6]]
