"""Why a customer sees what they see: each reason of the closed list, and the chain of links."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.identity.scopes import COUPON_READ, SEGMENT_READ
from accounts.models import Customer, LegalEntity
from catalog.models import Category, Product
from core.json_types import JsonObject
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.conftest import Api
from tests.factories.accounts import ContactAssignmentFactory, LegalEntityFactory, SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory

EXPLANATIONS = "/customer-segment/acme/explanations"
DAY = timedelta(days=1)


@pytest.fixture
def chain(gold: Segment, customer: Customer) -> JsonObject:
    """A customer of gold, which shows coffee with all below it; the product is in ground coffee."""
    coffee = CategoryFactory(tenant=gold.tenant, external_id="coffee")
    ground = CategoryFactory(parent=coffee, external_id="ground")
    product = ProductFactory(tenant=gold.tenant, external_id="P1", name={"en": "Mocha", "de": "Mokka"})
    CategoryAssignmentFactory(category=ground, product=product)
    return {
        "member": CustomerAssignmentFactory(segment=gold, customer=customer),
        "item": ItemAssignmentFactory(
            segment=gold, product=None, category=coffee, includes_subcategories=True
        ),
    }


def explain(api: Api, **query: str) -> JsonObject:
    answer = api.get(EXPLANATIONS, **{"customerId": "C1", "product": "P1", **query})
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_every_link_of_what_is_visible_is_named(reader, chain):
    found = explain(reader, siteCode="main")
    assert (found["visible"], found["reasons"], "reason" in found) == (True, [], False)
    [path] = found["paths"]
    assert [(link["type"], link["ok"], link.get("id"), link.get("inherited")) for link in path["links"]] == [
        ("membership", True, None, None),
        ("segment", True, "gold", None),
        ("assignment", True, "coffee", True),
        ("category", True, "ground", None),
        ("product", True, "P1", None),
    ]
    assert path["links"][1]["validFrom"] == "2024-04-17T08:00:00.000Z"


def later(rows: Any, now: datetime, **other: object) -> None:
    rows.update(valid_from=now + DAY, valid_to=None, **other)


BREAKS: dict[str, Callable[[Any], object]] = {
    "not_a_member": lambda now: CustomerAssignment.objects.all().delete(),
    "membership_not_started": lambda now: later(CustomerAssignment.objects, now),
    "membership_over": lambda now: CustomerAssignment.objects.update(valid_to=now - DAY),
    "segment_inactive": lambda now: Segment.objects.update(status="INACTIVE"),
    "segment_not_started": lambda now: later(Segment.objects, now),
    "segment_over": lambda now: Segment.objects.update(valid_to=now - DAY),
    "item_not_assigned": lambda now: ItemAssignment.objects.all().delete(),
    "assignment_over": lambda now: ItemAssignment.objects.update(valid_to=now - DAY),
    "category_unpublished": lambda now: Category.objects.filter(external_id="ground").update(
        is_published=False
    ),
    "ancestor_unpublished": lambda now: Category.objects.filter(external_id="coffee").update(
        is_published=False
    ),
    "product_unpublished": lambda now: Product.objects.update(is_published=False),
}


@pytest.mark.parametrize("reason", BREAKS)
def test_each_break_of_the_chain_has_its_reason(reader, chain, now, reason):
    BREAKS[reason](now)
    found = explain(reader)
    assert (found["visible"], found["reason"], found["reasons"]) == (False, reason, [reason])
    assert found["paths"][0]["ok"] is False


def test_all_reasons_are_named_the_first_of_the_chain_first(reader, chain, now):
    for reason in ("product_unpublished", "segment_over", "membership_over"):
        BREAKS[reason](now)
    assert explain(reader)["reasons"] == ["membership_over", "segment_over", "product_unpublished"]


def test_another_site_and_another_company_are_told_apart(
    reader: Api, chain: JsonObject, gold: Segment, customer: Customer, company: LegalEntity
) -> None:
    SiteFactory(tenant=gold.tenant, code="outlet")
    assert explain(reader, siteCode="outlet")["reasons"] == ["other_site"]
    other = LegalEntityFactory(tenant=gold.tenant, external_id="L2")
    ContactAssignmentFactory(customer=customer, legal_entity=other)
    CustomerAssignment.objects.update(legal_entity=company)
    assert explain(reader)["reasons"] == ["other_legal_entity"]
    assert explain(reader, legalEntityId="L1")["visible"] is True
    assert explain(reader, legalEntityId="L2")["reasons"] == ["other_legal_entity"]


def test_the_instant_and_the_languages_may_be_named(reader, chain, now):
    BREAKS["segment_not_started"](now)
    assert explain(reader)["visible"] is False
    assert explain(reader, asOf=(now + 2 * DAY).isoformat())["visible"] is True
    reader.headers["Accept-Language"] = "de"
    assert explain(reader)["paths"][0]["links"][-1]["name"] == {"de": "Mokka"}


def test_the_path_that_comes_closest_is_first(reader, chain, gold, now):
    silver = Segment.objects.create(tenant=gold.tenant, site=gold.site, external_id="silver", status="ACTIVE")
    ItemAssignmentFactory(segment=silver, product=Product.objects.get())
    Segment.objects.filter(pk=gold.pk).update(status="INACTIVE", valid_to=now - DAY)
    found = explain(reader)
    assert [(path["segmentId"], path["reasons"]) for path in found["paths"]] == [
        ("silver", ["not_a_member"]),
        ("gold", ["segment_inactive", "segment_over"]),
    ]
    assert found["reason"] == "not_a_member"


def test_a_coupon_has_reasons_of_its_own(service_api, chain, gold, now):
    api = service_api(SEGMENT_READ, COUPON_READ)
    coupon = CouponFactory(tenant=gold.tenant, code="TEN", is_segment_restricted=True, valid_to=now - DAY)
    CouponSegmentFactory(coupon=coupon, segment=gold)
    BREAKS["segment_inactive"](now)
    query = {"customerId": "C1", "coupon": "ten"}
    found = api.get(EXPLANATIONS, **query).json()
    assert found["reasons"] == ["segment_inactive", "coupon_expired"]
    assert api.get(EXPLANATIONS, **{**query, "coupon": "NONE"}).status_code == 404
    assert service_api(SEGMENT_READ).get(EXPLANATIONS, **query).status_code == 403
    CouponFactory(tenant=gold.tenant, code="FREE")
    free = api.get(EXPLANATIONS, **{**query, "coupon": "FREE"}).json()
    assert (free["visible"], [link["type"] for link in free["paths"][0]["links"]]) == (True, ["coupon"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"product": "P1"}, "customerId"),
        ({"customerId": "C1"}, "product"),
        ({"customerId": "C1", "product": "P1", "category": "coffee"}, "product"),
        ({"customerId": "nobody", "product": "P1"}, "customerId"),
        ({"customerId": "C1", "product": "nothing"}, "id"),
        ({"customerId": "C1", "category": "nothing"}, "id"),
        ({"customerId": "C1", "product": "P1", "siteCode": "moon"}, "siteCode"),
        ({"customerId": "C1", "product": "P1", "asOf": "tomorrow"}, "asOf"),
    ],
)
def test_a_question_that_nobody_can_answer_says_why(reader, chain, query, field):
    answer = reader.get(EXPLANATIONS, **query)
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, field)


def test_an_explanation_takes_four_statements(reader, chain, django_assert_num_queries):
    with django_assert_num_queries(4):
        explain(reader)
    with django_assert_num_queries(3):
        reader.get(EXPLANATIONS, customerId="C1", category="ground")
