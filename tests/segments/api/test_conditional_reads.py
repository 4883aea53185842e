"""Tags of shoppers' answers: they change with all that is shown and with every window, and are their own."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.http import HttpResponse
from pytest_django import DjangoAssertNumQueries

from catalog.models import Category, Product
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from segments.models import Segment
from tests.conftest import Api
from tests.factories.accounts import CustomerFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
ITEMS = f"{SEGMENTS}/items"
TREES = f"{ITEMS}/category-trees"
READS = [
    SEGMENTS,
    f"{SEGMENTS}/gold",
    ITEMS,
    TREES,
    f"{SEGMENTS}/gold/items",
    f"{SEGMENTS}/gold/items/PRODUCT/P1",
]
DAY = timedelta(days=1)


@pytest.fixture
def shopper(shopper: Api, items_of_gold: None) -> Api:
    return shopper


def again(api: Api, path: str, answer: HttpResponse, **headers: str) -> HttpResponse:
    return api.get(path, headers={"If-None-Match": answer["ETag"], **headers})


@pytest.mark.parametrize("path", READS)
def test_an_answer_that_the_client_holds_is_not_sent_again(
    shopper: Api, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    answer = shopper.get(path)
    with django_assert_num_queries(1):
        unchanged = again(shopper, path, answer)

    assert answer.status_code == 200
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    for response in (answer, unchanged):
        assert response["ETag"] == answer["ETag"]
        assert response["Cache-Control"] == "private"
        assert {"Authorization", "Accept-Language"} <= set(response["Vary"].split(", "))


def test_a_list_of_tags_a_weak_tag_and_a_star_are_understood(shopper: Api) -> None:
    tag = shopper.get(ITEMS)["ETag"]

    for header, status in ((f'"x", W/{tag}', 304), ("*", 304), ('"x"', 200), ("", 200)):
        assert shopper.get(ITEMS, headers={"If-None-Match": header}).status_code == status


def test_what_depends_on_a_header_is_not_taken_for_another(shopper: Api) -> None:
    answer = shopper.get(ITEMS)

    assert again(shopper, ITEMS, answer, **{"Accept-Language": "de"}).status_code == 200
    counted = again(shopper, ITEMS, answer, **{"X-Total-Count": "true"})
    assert (counted.status_code, counted["X-Total-Count"]) == (200, "2")


CHANGES: dict[str, Callable[[Segment, Product, Category], object]] = {
    "a segment is renamed": lambda segment, product, category: Segment.objects.update(name={"en": "New"}),
    "a segment is switched off": lambda segment, product, category: Segment.objects.update(status="INACTIVE"),
    "a segment is deleted": lambda segment, product, category: segment.delete(),
    "a site is renamed": lambda segment, product, category: type(segment.site).objects.update(code="new"),
    "an item is added": lambda segment, product, category: ItemAssignmentFactory(segment=segment),
    "an item is changed": lambda segment, product, category: segment.item_assignments.update(version=9),
    "an item is removed": lambda segment, product, category: segment.item_assignments.all()[0].delete(),
    "a product is renamed": lambda segment, product, category: Product.objects.update(name={"en": "New"}),
    "a product is deleted": lambda segment, product, category: Product.objects.all()._raw_delete("default"),
    "a category is described": lambda segment, product, category: Category.objects.update(
        description={"en": "New"}
    ),
    "a category is hidden": lambda segment, product, category: Category.objects.update(is_published=False),
    "a category is added": lambda segment, product, category: CategoryFactory(parent=category),
    "a category gets a number": lambda segment, product, category: category.numbers.create(
        tenant_id=category.tenant_id, value="N1"
    ),
    "the customer joins another segment": lambda segment, product, category: CustomerAssignmentFactory(
        segment=SegmentFactory(site=segment.site), customer=segment.customer_assignments.get().customer
    ),
    "the customer leaves": lambda segment, product, category: segment.customer_assignments.all().delete(),
}


OF_ITEMS = (ITEMS, TREES)
OF_SEGMENTS = (SEGMENTS, *OF_ITEMS)


@pytest.mark.parametrize("change", CHANGES)
def test_the_tag_changes_when_anything_shown_does(
    shopper: Api, gold: Segment, product: Product, category: Category, change: str
) -> None:
    shown_by = OF_SEGMENTS if "segment" in change or "site" in change or "leaves" in change else OF_ITEMS
    before = {path: shopper.get(path)["ETag"] for path in shown_by}
    CHANGES[change](gold, product, category)

    for path, tag in before.items():
        answer = shopper.get(path, headers={"If-None-Match": tag})
        assert answer.status_code == 200
        assert answer["ETag"] != tag


def test_the_tag_stays_when_nothing_shown_changes(
    shopper: Api, gold: Segment, product: Product, other_tenant: Tenant
) -> None:
    answer = shopper.get(ITEMS)
    Product.objects.update(mixins={"stock": {"left": 3}}, version=7)
    CustomerAssignmentFactory(segment=gold, customer=CustomerFactory(tenant=gold.tenant))
    CategoryFactory(tenant=other_tenant)

    assert again(shopper, ITEMS, answer).status_code == 304


def test_a_change_of_a_foreign_segment_leaves_the_tag_alone(
    shopper: Api, gold: Segment, now: datetime
) -> None:
    foreign = SegmentFactory(site=gold.site)
    item = ItemAssignmentFactory(segment=foreign)
    before = {path: shopper.get(path) for path in OF_SEGMENTS}
    ItemAssignmentFactory(segment=foreign, valid_from=now + DAY)
    item.delete()
    Segment.objects.filter(pk=foreign.pk).update(name={"en": "New"})

    assert [again(shopper, path, answer).status_code for path, answer in before.items()] == [304] * 3


def test_a_segment_does_not_change_with_what_it_holds(shopper: Api, gold: Segment) -> None:
    answer = shopper.get(SEGMENTS)
    Product.objects.update(name={"en": "New"})
    Category.objects.update(is_published=False)

    assert again(shopper, SEGMENTS, answer).status_code == 304


WINDOWS: dict[str, Callable[[Segment, Category, JsonObject], object]] = {
    "segment": lambda segment, category, window: Segment.objects.update(**window),
    "customer assignment": lambda segment, category, window: segment.customer_assignments.update(**window),
    "item assignment": lambda segment, category, window: segment.item_assignments.update(**window),
    "category": lambda segment, category, window: Category.objects.filter(pk=category.pk).update(**window),
}


@pytest.mark.parametrize("whose", WINDOWS)
def test_the_tag_changes_when_a_window_opens_and_when_it_closes(
    reader: Api, shopper: Api, gold: Segment, category: Category, now: datetime, whose: str
) -> None:
    WINDOWS[whose](gold, category, {"valid_from": now + DAY, "valid_to": now + 2 * DAY})

    def tree_at(moment: datetime, tag: str = "") -> HttpResponse:
        query = {"customerId": "C1", "asOf": moment.isoformat()}
        return reader.get(TREES, headers={"If-None-Match": tag} if tag else {}, **query)

    millisecond = timedelta(milliseconds=1)
    before, inside = tree_at(now), tree_at(now + DAY)
    after = tree_at(now + 2 * DAY + millisecond)

    assert [len(answer.json()) for answer in (before, inside, after)] == [0, 1, 0]
    assert before["ETag"] != inside["ETag"] != after["ETag"]
    assert tree_at(now + DAY - millisecond, before["ETag"]).status_code == 304
    assert tree_at(now + 2 * DAY, inside["ETag"]).status_code == 304
    assert tree_at(now + DAY, before["ETag"]).status_code == 200
    assert tree_at(now + 2 * DAY + millisecond, inside["ETag"]).status_code == 200


def test_customers_of_the_same_segments_have_the_same_tags(
    shopper: Api, gold: Segment, customer_api: Callable[..., Api]
) -> None:
    outsider = customer_api(CustomerFactory(tenant=gold.tenant))
    member = CustomerFactory(tenant=gold.tenant)
    CustomerAssignmentFactory(segment=gold, customer=member)

    for path in (SEGMENTS, ITEMS, TREES):
        answer = shopper.get(path)
        refused = again(outsider, path, answer)
        assert (refused.status_code, refused.json()) == (200, [])
        assert again(customer_api(member), path, answer).status_code == 304


def test_staff_lists_carry_no_tag(reader: Api, shopper: Api) -> None:
    for path in (SEGMENTS, ITEMS, TREES):
        assert not reader.get(path).has_header("ETag")
