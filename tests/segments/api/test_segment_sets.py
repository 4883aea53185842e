"""Answers for a set of segments: shared by its key, kept at the edge until the next window, and purged."""

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from django.http import HttpResponse
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import CATEGORY_MANAGE, CATEGORY_PUBLISH, PRODUCT_MANAGE, PRODUCT_PUBLISH
from accounts.models import Site
from catalog.models import Category, Product
from core.background.retention import registered_retentions
from core.tenancy.models import Tenant
from segments.models import CustomerAssignment, Segment, SegmentSet
from tests.conftest import Api, Clock
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

SET = "/customer-segment/acme/segment-set"
SETS = "/customer-segment/acme/segment-sets"
SEGMENTS = "/customer-segment/acme/segments"
ASSIGNMENTS = "/category/acme/categories/K1/assignments"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def shopper(shopper: Api, items_of_gold: None, product: Product, category: Category) -> Api:
    CategoryAssignmentFactory(product=product, category=category, external_id="A1")
    return shopper


def key_for(api: Api, **query: str) -> str:
    return api.get(SET, **query).json()["key"]


def seconds_of(answer: HttpResponse) -> int:
    return int(answer["Cache-Control"].rpartition("s-maxage=")[2])


def test_everybody_of_the_same_segments_has_the_same_key(
    shopper: Api, gold: Segment, customer_api: Callable[..., Api], now: datetime
) -> None:
    other = CustomerFactory(tenant=gold.tenant)
    CustomerAssignmentFactory(segment=gold, customer=other)
    outsider = CustomerFactory(tenant=gold.tenant)
    answer = shopper.get(SET)

    assert answer["Cache-Control"] == "private, no-store"
    assert len(answer.content) < 200
    assert answer.json()["expiresAt"] == "2026-03-04T09:45:15.250Z"
    assert key_for(customer_api(other)) == answer.json()["key"]
    assert key_for(customer_api(outsider)) != answer.json()["key"]
    assert key_for(shopper, siteCode="main") != answer.json()["key"]
    assert shopper.get(SET, siteCode="nowhere").status_code == 400


def test_a_key_is_written_once_and_lives_longer_than_anybody_uses_it(
    shopper: Api, clock: type[Clock], django_assert_num_queries: DjangoAssertNumQueries, now: datetime
) -> None:
    key = key_for(shopper)
    before = SegmentSet.objects.get()
    with django_assert_num_queries(3):
        assert key_for(shopper) == key
    clock.advance(10 * MINUTE)
    assert key_for(shopper) == key
    clock.advance(10 * MINUTE)
    key_for(shopper)
    after = SegmentSet.objects.get()

    assert before.expires_at == now + 30 * MINUTE
    assert after.expires_at == now + 50 * MINUTE


@pytest.mark.parametrize("end", ["valid_from", "valid_to"])
@pytest.mark.parametrize("of", ["membership", "segment"])
def test_a_key_ends_when_other_segments_count(
    shopper: Api, gold: Segment, now: datetime, of: str, end: str
) -> None:
    rows = Segment.objects if of == "segment" else CustomerAssignment.objects
    rows.update(**{end: now + 5 * MINUTE})

    assert shopper.get(SET).json()["expiresAt"] == "2026-03-04T09:35:15.250Z"


@pytest.mark.parametrize("path", ["items", "category-trees", "products?categoryId=K1"])
def test_whoever_has_the_key_reads_what_its_customers_read(
    shopper: Api, anonymous_api: Api, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    key = key_for(shopper)
    own = {
        "items": f"{SEGMENTS}/items",
        "category-trees": f"{SEGMENTS}/items/category-trees",
        "products?categoryId=K1": f"{ASSIGNMENTS}?withSubcategories=true&segmentsIds=gold",
    }
    with django_assert_num_queries(2):
        answer = anonymous_api.get(f"{SETS}/{key}/{path}")
    with django_assert_num_queries(1):
        again = anonymous_api.get(f"{SETS}/{key}/{path}")
    held = anonymous_api.get(f"{SETS}/{key}/{path}", headers={"If-None-Match": answer["ETag"]})

    assert answer.json() == shopper.get(own[path]).json() != []
    assert again.content == answer.content
    assert held.status_code == 304
    for response in (answer, again, held):
        assert response["Cache-Control"] == "public, max-age=0, s-maxage=300"
        assert response["Vary"] == "Accept-Language, Accept-Encoding, origin"
        assert response["Cache-Groups"] == '"t:acme", "seg:gold", "tree"'
        assert response["Surrogate-Key"] == "t:acme seg:gold tree"
        assert response["Cache-Tag"] == "t:acme,seg:gold,tree"


@pytest.mark.parametrize("whose", ["item", "segment", "category"])
def test_an_answer_is_kept_no_longer_than_until_the_next_window(
    shopper: Api, gold: Segment, now: datetime, whose: str
) -> None:
    key = key_for(shopper)
    rows = {"item": gold.item_assignments, "segment": Segment.objects, "category": Category.objects}
    rows[whose].update(valid_to=now + MINUTE)

    assert seconds_of(shopper.get(f"{SETS}/{key}/items")) == 60


def test_a_segment_that_is_over_or_elsewhere_shows_nothing(
    shopper: Api, gold: Segment, clock: type[Clock], now: datetime
) -> None:
    key, of_site = key_for(shopper), key_for(shopper, siteCode="main")
    assert len(shopper.get(f"{SETS}/{of_site}/items").json()) == 2
    Segment.objects.update(site=SiteFactory(tenant=gold.tenant, code="moved"))
    assert shopper.get(f"{SETS}/{of_site}/items").json() == []
    Segment.objects.update(valid_to=now + MINUTE)
    assert len(shopper.get(f"{SETS}/{key}/items").json()) == 2
    clock.advance(2 * MINUTE)

    assert shopper.get(f"{SETS}/{key}/items").json() == []


def test_an_unknown_key_and_one_that_is_over_are_not_found(
    shopper: Api, clock: type[Clock], other_tenant: Tenant, service_api: Callable[..., Api], now: datetime
) -> None:
    key = key_for(shopper)
    stranger = service_api("customersegment.segmentset_read", tenant=other_tenant)
    assert stranger.get(f"/customer-segment/globex/segment-sets/{key}/items").status_code == 404
    unknown = shopper.get(f"{SETS}/{'x' * 43}/items")
    assert (unknown.status_code, "Ask for a new key" in unknown.content.decode()) == (404, True)
    clock.advance(31 * MINUTE)
    assert shopper.get(f"{SETS}/{key}/items").status_code == 404
    purge = registered_retentions()["segment-sets"]
    assert purge.delete(now + timedelta(hours=2), 100) == 1


def test_products_need_a_category_that_is_shown(shopper: Api, category: Category) -> None:
    path = f"{SETS}/{key_for(shopper)}/products"
    assert shopper.get(path).status_code == 400
    assert shopper.get(path, categoryId="K9").status_code == 404
    Category.objects.filter(pk=category.pk).update(is_published=False)
    assert shopper.get(path, categoryId="K1").status_code == 404


def test_writes_say_which_shared_answers_end(
    shopper: Api, manager: Api, gold: Segment, service_api: Callable[..., Api]
) -> None:
    staff = service_api(CATEGORY_MANAGE, CATEGORY_PUBLISH, PRODUCT_MANAGE, PRODUCT_PUBLISH)
    answers = {
        '"seg:gold"': manager.put(f"{SEGMENTS}/gold/items/PRODUCT/bulk", [{"id": "P1"}]),
        '"t:acme"': manager.post(f"{SEGMENTS}/bulk", [{"name": {"en": "New"}, "siteCode": "main"}]),
        '"tree"': staff.post(
            "/category/acme/categories", {"localizedName": {"en": "New"}, "published": True}
        ),
    }
    product = staff.post("/product/acme/products", {"code": "new", "name": {"en": "New"}})
    member = manager.put(f"{SEGMENTS}/gold/customers/bulk", [{"customerId": "C1"}])
    refused = manager.put(f"{SEGMENTS}/gold/items/PRODUCT/bulk", [])

    assert {groups: answer["Cache-Group-Invalidation"] for groups, answer in answers.items()} == {
        groups: groups for groups in answers
    }
    assert product["Cache-Group-Invalidation"] == '"t:acme"'
    for answer in (member, refused, shopper.get(SEGMENTS), manager.post(f"{SEGMENTS}/search", {"q": ""})):
        assert not answer.has_header("Cache-Group-Invalidation")


@pytest.mark.parametrize("segment_id", ["a b,c", "caf\u00e9", "new\r\nline", "per%cent"])
def test_groups_of_any_id_are_one_word_of_a_header(manager: Api, site: Site, segment_id: str) -> None:
    SegmentFactory(site=site, external_id=segment_id)
    answer = manager.delete(f"/customer-segment/acme/segments/{quote(segment_id, safe='')}")
    assert answer.status_code == 204
    assert answer["Cache-Group-Invalidation"] == f'"seg:{quote(segment_id, safe="")}"'
