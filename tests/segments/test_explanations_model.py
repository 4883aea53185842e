"""Explanations say of random shops what the storefront's reads, validation and the rules say."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from accounts.identity.scopes import COUPON_MANAGE, COUPON_REDEEM_ON_BEHALF, SEGMENT_READ
from catalog.models import Product
from segments.models import Segment
from tests.conftest import Api
from tests.factories.catalog import CategoryAssignmentFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.segments.test_visibility_model import (
    BOUNDED,
    PARENTS,
    SEGMENTS,
    TODAY,
    Scenery,
    Visit,
    World,
    acting_for,
    build,
    flattened,
    is_hidden,
    lineage,
    scenery,  # noqa: F401 - a fixture
    seen_items,
    seen_segments,
    visits,
    worlds,
)

EXPLANATIONS = "/customer-segment/acme/explanations"
PLACES = {"P1": "leaf", "P2": "right"}


def seen_products(world: World, visit: Visit, segments: set[int]) -> set[str]:
    """The products that the segments hold, by themselves or through the category that they are in."""
    found = set()
    for (index, item), (window, covers) in world.items.items():
        if index not in segments or not window.contains(visit.hours):
            continue
        for product, place in PLACES.items():
            inside = item == place or (covers and item in lineage(place))
            if item == product or (inside and not is_hidden(world, place)):
                found.add(product)
    return found


@pytest.fixture
def placed(scenery: Scenery) -> Scenery:  # noqa: F811
    for product, place in PLACES.items():
        CategoryAssignmentFactory(product=scenery.items[product], category=scenery.items[place])
    return scenery


@BOUNDED
@given(world=worlds, visit=visits, published=st.frozensets(st.sampled_from(tuple(PLACES))))
def test_explanations_agree_with_what_is_read(
    placed: Scenery,
    service_api: Callable[..., Api],
    world: World,
    visit: Visit,
    published: frozenset[str],
) -> None:
    # the journal of a test begins with it, so the past has nothing to tell
    visit = Visit(visit.customer, None, visit.named, visit.site, abs(visit.hours) or 1)
    world.windows.clear()  # a category out of its window is missing in the tree only
    api = service_api(SEGMENT_READ, COUPON_MANAGE, COUPON_REDEEM_ON_BEHALF)
    at = (TODAY + timedelta(hours=visit.hours)).isoformat()
    query = {"customerId": visit.customer, "asOf": at}
    query |= {"legalEntityId": visit.named} if visit.named else {}
    query |= {"siteCode": visit.site} if visit.site else {}
    with transaction.atomic():
        build(world, placed)
        for name, item in placed.items.items():
            if name in PARENTS:
                type(item).objects.filter(pk=item.pk).update(is_published=name not in world.hidden)
        Product.objects.exclude(external_id__in=published).update(is_published=False)
        coupon = CouponFactory(tenant=placed.items["P1"].tenant, code="TEN", is_segment_restricted=True)
        for segment in Segment.objects.filter(tenant__name="acme")[:2]:
            CouponSegmentFactory(coupon=coupon, segment=segment)
        compare(api, world, visit, query, published)
        transaction.set_rollback(True)


def compare(api: Api, world: World, visit: Visit, query: dict[str, str], published: frozenset[str]) -> None:
    status, entity = acting_for(world, visit)
    if status != 200:
        assert api.get(EXPLANATIONS, **query, product="P1").status_code == status
        return
    segments = seen_segments(world, visit, entity)
    explained = {
        name: api.get(EXPLANATIONS, **query, **{"category" if name in PARENTS else "product": name}).json()
        for name in (*PARENTS, *PLACES)
    }
    for name, found in explained.items():
        assert found["visible"] is any(path["ok"] for path in found["paths"]), (name, found)
        assert found["visible"] is ("reason" not in found)
    tree = flattened(api.get(f"{SEGMENTS}/items/category-trees", **query).json())
    assert {name for name in PARENTS if explained[name]["visible"]} == {
        name for name, is_assigned in tree.items() if is_assigned
    }
    held = seen_products(world, visit, segments)
    assert {name for name in PLACES if explained[name]["visible"]} == held & published
    for row in api.get(f"{SEGMENTS}/items", **query).json():
        name = row["item"]["id"]
        assert explained[name]["visible"] or name not in published | PARENTS.keys()
        assert row["segmentId"] in {path["segmentId"] for path in explained[name]["paths"]}
    assert {
        (row["segmentId"], row["item"]["id"]) for row in api.get(f"{SEGMENTS}/items", **query).json()
    } == {(f"S{index}", item) for index, item in seen_items(world, visit, segments)}
    ten = {"amount": 10, "currency": "EUR"}
    order = {"orderTotal": ten, "discount": {**ten, "amount": 1}, "customerNumber": visit.customer}
    order |= {"legalEntityId": visit.named} if visit.named else {}
    validated = api.post("/coupon/acme/coupons/TEN/validation", order, asOf=query["asOf"])
    coupon = api.get(EXPLANATIONS, **query, coupon="TEN").json()
    assert coupon["visible"] is (validated.status_code == 200), (coupon, validated.content)
    assert coupon["visible"] is any(path["ok"] for path in coupon["paths"])
