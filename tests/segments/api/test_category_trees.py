"""Category trees of segments: what is assigned, what leads there, and what is left out."""

from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import Customer
from catalog.models import Category, CategoryNumber
from core.json_types import JsonObject
from segments.models import Segment
from tests.conftest import Api
from tests.factories.accounts import SiteFactory
from tests.factories.catalog import CategoryFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

TREES = "/customer-segment/acme/segments/items/category-trees"
DAY = timedelta(days=1)


@pytest.fixture
def forest(customer: Customer) -> dict[str, Category]:
    """Tools > (Saws, Hammers > Sledges), and Garden."""
    made: dict[str, Category] = {}
    for name, parent in (
        ("tools", None),
        ("saws", "tools"),
        ("hammers", "tools"),
        ("sledges", "hammers"),
        ("garden", None),
    ):
        made[name] = CategoryFactory(
            tenant=customer.tenant,
            external_id=name,
            code=name.upper(),
            name={"en": name.title(), "de": f"{name}!"},
            parent=made[parent] if parent else None,
        )
    return made


def test_a_node_has_a_code_even_when_its_category_has_none(
    shopper: Api, gold: Segment, forest: dict[str, Category]
) -> None:
    Category.objects.filter(pk=forest["garden"].pk).update(code=None)
    assign(gold, forest["garden"])
    [node] = shopper.get(TREES).json()
    assert (node["id"], node["code"]) == ("garden", "")


def assign(segment: Segment, category: Category, **facts: object) -> None:
    ItemAssignmentFactory(segment=segment, product=None, category=category, **facts)


def outline(nodes: list[JsonObject]) -> list[object]:
    """Each node as its id, `*` when it is assigned, with what is below it."""
    return [
        (
            node["id"] + "*" * node["isSegmentAssigned"],
            *([outline(node["subcategories"])] if "subcategories" in node else []),
        )
        for node in nodes
    ]


def test_assigned_categories_stand_below_all_that_leads_there(
    shopper: Api, gold: Segment, forest: dict[str, Category]
) -> None:
    hammers = forest["hammers"]
    hammers.description, hammers.slug = {"en": "Heavy"}, {"en": "hammers"}
    hammers.valid_from = datetime.fromisoformat("2024-04-17T08:00:00Z")
    hammers.save(update_fields=["description", "slug", "valid_from"])
    for rank, value in enumerate(("B", "A")):
        CategoryNumber.objects.create(tenant=gold.tenant, category=hammers, value=value, rank=rank)
    assign(gold, hammers)

    assert shopper.get(TREES).json() == [
        {
            "id": "tools",
            "code": "TOOLS",
            "name": {"en": "Tools", "de": "tools!"},
            "position": 0,
            "published": True,
            "isSegmentAssigned": False,
            "subcategories": [
                {
                    "id": "hammers",
                    "parentId": "tools",
                    "code": "HAMMERS",
                    "name": {"en": "Hammers", "de": "hammers!"},
                    "localizedDescription": {"en": "Heavy"},
                    "localizedSlug": {"en": "hammers"},
                    "ecn": ["B", "A"],
                    "validity": {"from": "2024-04-17T08:00:00.000Z"},
                    "position": 1,
                    "published": True,
                    "isSegmentAssigned": True,
                }
            ],
        }
    ]


def test_a_category_means_itself_alone_unless_its_subcategories_are_included(
    shopper: Api, gold: Segment, forest: dict[str, Category]
) -> None:
    assign(gold, forest["tools"])
    assert outline(shopper.get(TREES).json()) == [("tools*",)]

    gold.item_assignments.update(includes_subcategories=True)
    tree = [("tools*", [("saws*",), ("hammers*", [("sledges*",)])])]
    assert outline(shopper.get(TREES).json()) == tree

    CategoryFactory(parent=forest["saws"], external_id="later", name={"en": "Later"})
    assert outline(shopper.get(TREES).json()) == [
        ("tools*", [("saws*", [("later*",)]), ("hammers*", [("sledges*",)])])
    ]


def test_siblings_stand_in_the_order_of_position_then_name(
    shopper: Api, gold: Segment, forest: dict[str, Category]
) -> None:
    root = forest["garden"]
    for name, position in (("c", 1), ("b", 1), ("d", 0), ("a", 2)):
        child = CategoryFactory(parent=root, external_id=name, name={"en": name}, position=position)
        assign(gold, child)

    assert outline(shopper.get(TREES).json()) == [("garden", [("d*",), ("b*",), ("c*",), ("a*",)])]


@pytest.mark.parametrize(
    ("name", "facts", "left"),
    [
        ("sledges", {"is_published": False}, [("tools", [("saws*",)])]),
        ("hammers", {"is_published": False}, [("tools", [("saws*",)])]),
        ("tools", {"is_published": False}, []),
        ("hammers", {"valid_to": -DAY}, [("tools", [("saws*",)])]),
        ("hammers", {"valid_from": DAY}, [("tools", [("saws*",)])]),
        ("saws", {"valid_from": DAY}, [("tools", [("hammers", [("sledges*",)])])]),
        ("tools", {"valid_to": DAY}, [("tools", [("saws*",), ("hammers", [("sledges*",)])])]),
    ],
)
def test_what_is_unpublished_or_outside_its_window_is_left_out_with_all_below(
    shopper: Api,
    gold: Segment,
    forest: dict[str, Category],
    now: datetime,
    name: str,
    facts: JsonObject,
    left: object,
) -> None:
    assign(gold, forest["sledges"])
    assign(gold, forest["saws"])
    facts = {field: now + value if isinstance(value, timedelta) else value for field, value in facts.items()}
    Category.objects.filter(pk=forest[name].pk).update(**facts)

    assert outline(shopper.get(TREES).json()) == left


def test_only_assignments_and_segments_that_count_are_shown(
    shopper: Api, gold: Segment, customer: Customer, forest: dict[str, Category], now: datetime
) -> None:
    assign(gold, forest["saws"], valid_to=now - DAY)
    ended = SegmentFactory(site=gold.site, valid_to=now - DAY)
    CustomerAssignmentFactory(segment=ended, customer=customer)
    for segment in (ended, SegmentFactory(site=gold.site)):
        assign(segment, forest["hammers"])

    assert shopper.get(TREES).json() == []


def test_a_site_keeps_its_own_trees(
    shopper: Api, gold: Segment, customer: Customer, forest: dict[str, Category]
) -> None:
    outlet = SegmentFactory(site=SiteFactory(tenant=gold.tenant, code="outlet"))
    CustomerAssignmentFactory(segment=outlet, customer=customer)
    assign(gold, forest["saws"])
    assign(outlet, forest["garden"])

    assert outline(shopper.get(TREES, siteCode="outlet").json()) == [("garden*",)]
    assert outline(shopper.get(TREES).json()) == [("tools", [("saws*",)]), ("garden*",)]
    assert shopper.get(TREES, siteCode="moon").status_code == 400


def test_names_are_cut_to_the_accepted_languages(
    shopper: Api, gold: Segment, forest: dict[str, Category]
) -> None:
    assign(gold, forest["garden"])
    [tree] = shopper.get(TREES, headers={"Accept-Language": "de"}).json()

    assert tree["name"] == {"de": "garden!"}


def test_staff_sees_the_trees_of_all_effective_segments(
    reader: Api, gold: Segment, customer: Customer, forest: dict[str, Category], now: datetime
) -> None:
    assign(gold, forest["saws"])
    assign(SegmentFactory(site=gold.site, status="INACTIVE"), forest["garden"])
    assign(SegmentFactory(site=gold.site, valid_from=now + DAY), forest["hammers"])

    assert outline(reader.get(TREES).json()) == [("tools", [("saws*",)])]
    assert outline(reader.get(TREES, asOf=(now + 2 * DAY).isoformat()).json()) == [
        ("tools", [("saws*",), ("hammers*",)])
    ]
    assert reader.get(TREES, customerId=customer.external_id).json() == []
    assert reader.get(TREES, siteCode="moon").status_code == 400


@pytest.mark.parametrize("categories", [1, 20])
def test_a_shoppers_trees_take_two_statements_and_one_if_kept(
    shopper: Api,
    gold: Segment,
    forest: dict[str, Category],
    categories: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(categories):
        assign(gold, CategoryFactory(parent=forest["sledges"]), includes_subcategories=True)
    shopper.get(f"{TREES}?pageSize=1")  # the token is verified, and remembered
    with django_assert_num_queries(2):
        [tools] = shopper.get(TREES).json()
    with django_assert_num_queries(1):
        assert shopper.get(TREES).json() == [tools]
    [hammers] = tools["subcategories"]
    assert len(hammers["subcategories"][0]["subcategories"]) == categories
