"""Which products segments hold: directly, through a category, or through a category above it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import SEGMENT_READ
from accounts.models import Site
from catalog.models import Category
from core.json_types import JsonObject
from segments.models import Segment
from tests.conftest import Api
from tests.factories.accounts import SiteFactory
from tests.factories.catalog import CategoryAssignmentFactory, CategoryFactory, ProductFactory
from tests.factories.segments import ItemAssignmentFactory, SegmentFactory

MATCH = "/customer-segment/acme/segments/match"
DAY = timedelta(days=1)


def body(*items: str, segments: tuple[str, ...] = ("gold",), site: str = "main") -> JsonObject:
    return {"items": [{"id": item} for item in items], "segmentIds": list(segments), "siteCode": site}


@pytest.fixture
def products(site: Site) -> JsonObject:
    """A, B and C are in Tools > Hammers > Sledges, one in each; D is in no category."""
    made: JsonObject = {}
    parent = None
    for product, category in (("A", "tools"), ("B", "hammers"), ("C", "sledges")):
        parent = made[category] = CategoryFactory(tenant=site.tenant, external_id=category, parent=parent)
        made[product] = ProductFactory(tenant=site.tenant, external_id=product)
        CategoryAssignmentFactory(product=made[product], category=parent)
    made["D"] = ProductFactory(tenant=site.tenant, external_id="D")
    return made


def test_products_match_in_input_order_once_each(manager: Api, gold: Segment, products: JsonObject) -> None:
    silver = SegmentFactory(site=gold.site, external_id="silver")
    for segment in (gold, silver):
        ItemAssignmentFactory(segment=segment, product=products["D"])
    ItemAssignmentFactory(segment=silver, product=products["A"])
    answer = manager.post(MATCH, body("unknown", "D", "B", "A", "D", segments=("silver", "gold", "x")))

    assert answer.status_code == 200
    assert answer.json() == [{"id": "D"}, {"id": "A"}]
    assert manager.post(MATCH, body("D", "A")).json() == [{"id": "D"}]


@pytest.mark.parametrize(
    ("category", "includes", "matched"),
    [
        ("tools", False, "A"),
        ("hammers", False, "B"),
        ("tools", True, "ABC"),
        ("hammers", True, "BC"),
        ("sledges", True, "C"),
    ],
)
def test_a_category_holds_its_own_products_and_with_subcategories_those_below(
    manager: Api, gold: Segment, products: JsonObject, category: str, includes: bool, matched: str
) -> None:
    ItemAssignmentFactory(
        segment=gold, product=None, category=products[category], includes_subcategories=includes
    )

    assert manager.post(MATCH, body(*"ABCD")).json() == [{"id": product} for product in matched]


@pytest.mark.parametrize("facts", [{"status": "INACTIVE"}, {"valid_from": DAY}, {"valid_to": -DAY}], ids=str)
def test_segments_that_are_not_effective_hold_nothing(
    manager: Api, site: Site, products: JsonObject, now: datetime, facts: JsonObject
) -> None:
    facts = {name: now + value if isinstance(value, timedelta) else value for name, value in facts.items()}
    segment = SegmentFactory(site=site, external_id="gold", **facts)
    ItemAssignmentFactory(segment=segment, product=products["A"])

    assert manager.post(MATCH, body("A")).json() == []


def test_assignments_outside_their_window_hold_nothing(
    manager: Api, gold: Segment, products: JsonObject, now: datetime
) -> None:
    ItemAssignmentFactory(segment=gold, product=products["A"], valid_from=now + DAY)
    ItemAssignmentFactory(segment=gold, product=None, category=products["hammers"], valid_to=now - DAY)

    assert manager.post(MATCH, body("A", "B")).json() == []


def test_segments_of_another_site_do_not_count(manager: Api, gold: Segment, products: JsonObject) -> None:
    SiteFactory(tenant=gold.tenant, code="outlet")
    ItemAssignmentFactory(segment=gold, product=products["A"])

    assert manager.post(MATCH, body("A", site="outlet")).json() == []
    by_other_name = {"items": [{"id": "A"}], "segmentIds": ["gold"], "site": "main"}
    assert manager.post(MATCH, by_other_name).json() == [{"id": "A"}]


@pytest.mark.parametrize("name", ["items", "segmentIds"])
def test_empty_lists_match_nothing(manager: Api, gold: Segment, products: JsonObject, name: str) -> None:
    ItemAssignmentFactory(segment=gold, product=products["A"])
    answer = manager.post(MATCH, {**body("A"), name: []})

    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("name", ["items", "segmentIds", "siteCode"])
def test_a_body_that_lacks_a_part_is_refused(manager: Api, gold: Segment, name: str) -> None:
    answer = manager.post(MATCH, {key: value for key, value in body("A").items() if key != name})

    assert answer.status_code == 400
    assert answer.json()["message"] == f"{name} is missing."
    assert answer.json()["details"]["field"] == name


def test_site_and_site_code_may_name_the_same_site(manager: Api, gold: Segment, products: JsonObject) -> None:
    ItemAssignmentFactory(segment=gold, product=products["A"])

    assert manager.post(MATCH, {**body("A"), "site": "main"}).json() == [{"id": "A"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": {}}, "items must be a list."),
        ({"items": ["A"]}, "items[0] must be an object."),
        ({"items": [{"id": 1}]}, "items[0].id must be a text."),
        ({"items": [{"id": "A"}] * 1001}, "items has more than 1000 entries."),
        ({"segmentIds": "gold"}, "segmentIds must be a list."),
        ({"segmentIds": [1]}, "segmentIds[0] must be a text."),
        ({"segmentIds": ["gold"] * 201}, "segmentIds has more than 200 entries."),
        ({"site": "outlet"}, "site and siteCode name different sites; send one of them."),
        ({"siteCode": None}, "siteCode is missing."),
        ({"items": None}, "items is missing."),
        ({"segmentIds": None}, "segmentIds is missing."),
        (
            {"items": None, "segmentIds": 5, "siteCode": None, "site": None},
            "items is missing. segmentIds must be a list. siteCode is missing.",
        ),
        ({"siteCode": "moon"}, "There is no site moon."),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused(
    manager: Api, gold: Segment, change: JsonObject, message: str
) -> None:
    answer = manager.post(MATCH, {**body("A"), **change})

    assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_matching_needs_the_scope_to_manage(service_api: Callable[..., Api], site: Site) -> None:
    answer = service_api(SEGMENT_READ).post(MATCH, body("A"))

    assert answer.status_code == 403
    assert answer.json()["message"] == "The token lacks the scope customersegment.segment_manage."


@pytest.mark.parametrize("size", [1, 20])
def test_a_match_takes_one_statement(
    manager: Api, gold: Segment, size: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    products = ProductFactory.create_batch(size, tenant=gold.tenant)
    for product in products:
        ItemAssignmentFactory(segment=gold, product=product)
    manager.get(MATCH.replace("match", "gold"))
    with django_assert_num_queries(1):
        answer = manager.post(MATCH, body(*(product.external_id for product in products)))
    assert len(answer.json()) == size


@pytest.mark.parametrize(("hidden", "found"), [("tools", []), ("hammers", ["A"]), ("sledges", ["A", "B"])])
def test_categories_below_an_unpublished_one_hold_nothing(
    manager: Api, gold: Segment, products: JsonObject, hidden: str, found: list[str]
) -> None:
    Category.objects.filter(external_id=hidden).update(is_published=False)
    ItemAssignmentFactory(segment=gold, product=None, category=products["tools"], includes_subcategories=True)
    ItemAssignmentFactory(segment=gold, product=None, category=products["sledges"])
    assert [row["id"] for row in manager.post(MATCH, body("A", "B", "C")).json()] == found
