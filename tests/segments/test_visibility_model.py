"""What shoppers see, compared with a model of the rules that is written for this test in plain Python."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.identity.scopes import SEGMENT_READ
from accounts.models import Customer, LegalEntity, Site
from catalog.models import Category, Product
from core.json_types import JsonObject
from core.tenancy.models import Tenant
from tests.conftest import NOW, Api, Clock
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
)
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SEGMENTS = "/customer-segment/acme/segments"
TODAY = NOW.replace(microsecond=0)
PARENTS = {"root": None, "left": "root", "leaf": "left", "right": "root"}  # parents come first
ITEM_IDS = ("P1", "P2", *PARENTS)


# The world that an example describes. Days are counted from today; None is an open end.


@dataclass(frozen=True)
class Window:
    opens: int | None
    closes: int | None

    def contains(self, hours: int) -> bool:
        after_opening = self.opens is None or self.opens * 24 <= hours
        before_closing = self.closes is None or hours <= self.closes * 24
        return after_opening and before_closing

    @property
    def columns(self) -> dict[str, datetime | None]:
        ends = {"valid_from": self.opens, "valid_to": self.closes}
        return {name: None if day is None else TODAY + timedelta(days=day) for name, day in ends.items()}


@dataclass(frozen=True)
class SegmentFact:
    site: str
    status: str
    window: Window


@dataclass(frozen=True)
class World:
    contacts: frozenset[tuple[str, str]]  # customer, legal entity
    segments: tuple[SegmentFact, ...]
    members: dict[tuple[int, str, str | None], Window]  # segment, customer, legal entity
    items: dict[tuple[int, str], tuple[Window, bool]]  # segment, item: window, includes subcategories
    hidden: frozenset[str]  # unpublished categories
    windows: dict[str, Window]  # of categories


@dataclass(frozen=True)
class Visit:
    """Who looks, at which hour from today."""

    customer: str
    bound: str | None
    named: str | None
    site: str | None
    hours: int


# The rules, once more.


def acting_for(world: World, visit: Visit) -> tuple[int, str | None]:
    """The status of the answer, and the legal entity that the customer acts for."""
    own = {entity for customer, entity in world.contacts if customer == visit.customer}
    if visit.named and (visit.named not in own or visit.bound not in (None, visit.named)):
        return 403, None
    return 200, visit.bound or visit.named or (next(iter(own)) if len(own) == 1 else None)


def seen_segments(world: World, visit: Visit, entity: str | None) -> set[int]:
    found = set()
    for (index, customer, for_entity), window in world.members.items():
        segment = world.segments[index]
        if (
            customer == visit.customer
            and for_entity in (None, entity)
            and window.contains(visit.hours)
            and segment.status == "ACTIVE"
            and segment.window.contains(visit.hours)
            and visit.site in (None, segment.site)
        ):
            found.add(index)
    return found


def seen_items(world: World, visit: Visit, segments: set[int]) -> set[tuple[int, str]]:
    return {
        (index, item)
        for (index, item), (window, _) in world.items.items()
        if index in segments and window.contains(visit.hours) and not is_hidden(world, item)
    }


def is_hidden(world: World, item: str) -> bool:
    """Whether the item is a category that is unpublished, or below one that is."""
    return item in PARENTS and not world.hidden.isdisjoint(lineage(item))


def lineage(category: str) -> list[str]:
    """The category and all above it."""
    parent = PARENTS[category]
    return [category, *(lineage(parent) if parent else [])]


def seen_categories(world: World, visit: Visit, items: set[tuple[int, str]]) -> dict[str, bool]:
    """The categories of the tree, and whether each is assigned."""

    def is_open(category: str) -> bool:
        return category not in world.hidden and world.windows[category].contains(visit.hours)

    assigned = set()
    for category in PARENTS:
        for index, item in items:
            covers = world.items[index, item][1]
            if item == category or (covers and item in lineage(category)):
                assigned.add(category)
    shown = {category for category in assigned if all(map(is_open, lineage(category)))}
    return {above: above in shown for category in shown for above in lineage(category)}


# Examples.

days = st.sampled_from([-1, 0, 1])
ALWAYS = st.just(Window(None, None))
windows = st.one_of(
    ALWAYS,
    ALWAYS,
    st.tuples(st.none() | days, st.none() | days)
    .filter(lambda ends: ends[0] is None or ends[1] is None or ends[0] <= ends[1])
    .map(lambda ends: Window(*ends)),
)
customers = st.sampled_from(["C1", "C2"])
entities = st.sampled_from(["L1", "L2"])
segment_facts = st.builds(
    SegmentFact,
    site=st.sampled_from(["main", "main", "outlet"]),
    status=st.sampled_from(["ACTIVE", "ACTIVE", "ACTIVE", "INACTIVE"]),
    window=windows,
)
indexes = st.integers(0, 2)
worlds = st.builds(
    World,
    contacts=st.frozensets(st.tuples(customers, entities), min_size=2),
    segments=st.tuples(segment_facts, segment_facts, segment_facts),
    members=st.dictionaries(
        st.tuples(indexes, customers, st.none() | entities), windows, min_size=3, max_size=8
    ),
    items=st.dictionaries(
        st.tuples(indexes, st.sampled_from(ITEM_IDS)),
        st.tuples(windows, st.booleans()),
        min_size=3,
        max_size=10,
    ),
    hidden=st.frozensets(st.sampled_from(tuple(PARENTS)), max_size=1),
    windows=st.fixed_dictionaries(dict.fromkeys(PARENTS, ALWAYS | windows)),
)
visits = st.builds(
    Visit,
    customer=customers,
    bound=st.none() | entities,
    named=st.none() | entities,
    site=st.sampled_from([None, None, "main", "outlet"]),
    hours=st.sampled_from([-25, -24, -23, -1, 0, 1, 23, 24, 25]),
)


@dataclass(frozen=True)
class Scenery:
    """What all examples have in common, stored once."""

    sites: dict[str, Site]
    customers: dict[str, Customer]
    entities: dict[str, LegalEntity]
    items: dict[str, Product | Category]


def make_scenery(tenant: Tenant) -> Scenery:
    made: dict[str, Product | Category] = {
        name: ProductFactory(tenant=tenant, external_id=name) for name in ("P1", "P2")
    }
    for name, parent in PARENTS.items():
        made[name] = CategoryFactory(tenant=tenant, external_id=name, parent=made[parent] if parent else None)
    return Scenery(
        {code: SiteFactory(tenant=tenant, code=code) for code in ("main", "outlet")},
        {name: CustomerFactory(tenant=tenant, external_id=name) for name in ("C1", "C2")},
        {name: LegalEntityFactory(tenant=tenant, external_id=name) for name in ("L1", "L2")},
        made,
    )


def build(world: World, scenery: Scenery) -> None:
    for customer, entity in world.contacts:
        ContactAssignmentFactory(customer=scenery.customers[customer], legal_entity=scenery.entities[entity])
    segments = [
        SegmentFactory(
            site=scenery.sites[fact.site], external_id=f"S{index}", status=fact.status, **fact.window.columns
        )
        for index, fact in enumerate(world.segments)
    ]
    for (index, customer, for_entity), window in world.members.items():
        CustomerAssignmentFactory(
            segment=segments[index],
            customer=scenery.customers[customer],
            legal_entity=scenery.entities[for_entity] if for_entity else None,
            **window.columns,
        )
    for (index, item), (window, covers) in world.items.items():
        is_category = item in PARENTS
        ItemAssignmentFactory(
            segment=segments[index],
            product=None if is_category else scenery.items[item],
            category=scenery.items[item] if is_category else None,
            includes_subcategories=covers and is_category,
            **window.columns,
        )
    for name, window in world.windows.items():
        category = Category.objects.filter(pk=scenery.items[name].pk)
        category.update(is_published=name not in world.hidden, **window.columns)


def flattened(nodes: list[JsonObject], parent: str | None = None) -> dict[str, bool]:
    found = {}
    for node in nodes:
        assert node.get("parentId") == parent
        found[node["id"]] = node["isSegmentAssigned"]
        found.update(flattened(node.get("subcategories", []), node["id"]))
    return found


def check(read: Callable[..., object], world: World, visit: Visit, query: dict[str, str]) -> None:
    """Compare what the API answers with what the rules say."""
    site = {"siteCode": visit.site} if visit.site else {}
    answers = [
        read(SEGMENTS, **query),
        read(f"{SEGMENTS}/items", **query, **site),
        read(f"{SEGMENTS}/items/category-trees", **query, **site),
    ]
    status, entity = acting_for(world, visit)
    assert [answer.status_code for answer in answers] == [status] * 3
    if status != 200:
        return
    anywhere = Visit(visit.customer, visit.bound, visit.named, None, visit.hours)
    segments, items, trees = (answer.json() for answer in answers)
    assert {row["id"] for row in segments} == {
        f"S{index}" for index in seen_segments(world, anywhere, entity)
    }
    expected = seen_items(world, visit, seen_segments(world, visit, entity))
    assert sorted((row["segmentId"], row["item"]["id"]) for row in items) == sorted(
        (f"S{index}", item) for index, item in expected
    )
    assert flattened(trees) == seen_categories(world, visit, expected)


@pytest.fixture
def scenery(tenant: Tenant, other_tenant: Tenant) -> Scenery:
    foreign = make_scenery(other_tenant)  # of the same names, where everybody is in everything
    everything = World(
        frozenset({("C1", "L1"), ("C2", "L2")}),
        (SegmentFact("main", "ACTIVE", Window(None, None)),) * 3,
        {(index, name, None): Window(None, None) for index in range(3) for name in ("C1", "C2")},
        {(index, item): (Window(None, None), True) for index in range(3) for item in ITEM_IDS},
        frozenset(),
        {category: Window(None, None) for category in PARENTS},
    )
    build(everything, foreign)
    return make_scenery(tenant)


BOUNDED = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # what shrinking would cost is minutes, and an example is small
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@BOUNDED
@given(world=worlds, visit=visits)
def test_a_preview_shows_at_every_instant_what_the_rules_say(
    scenery: Scenery, service_api: Callable[..., Api], clock: type[Clock], world: World, visit: Visit
) -> None:
    clock.at = TODAY - timedelta(hours=26)  # an instant that is over would be answered from the journal
    with transaction.atomic():
        build(world, scenery)
        query = {
            "customerId": visit.customer,
            "asOf": (TODAY + timedelta(hours=visit.hours)).isoformat(),
            **({"legalEntityId": visit.named} if visit.named else {}),
        }
        unbound = Visit(visit.customer, None, visit.named, visit.site, visit.hours)
        check(service_api(SEGMENT_READ).get, world, unbound, query)
        transaction.set_rollback(True)


@BOUNDED
@given(world=worlds, visit=visits)
def test_a_shopper_sees_now_what_the_rules_say(
    scenery: Scenery, customer_api: Callable[..., Api], world: World, visit: Visit
) -> None:
    if visit.bound:  # a token acts only for an entity that its customer is assigned to
        world = replace(world, contacts=world.contacts | {(visit.customer, visit.bound)})
    with transaction.atomic():
        build(world, scenery)
        shopper = customer_api(
            scenery.customers[visit.customer],
            legal_entity=scenery.entities[visit.bound] if visit.bound else None,
        )
        present = Visit(visit.customer, visit.bound, visit.named, visit.site, 1)
        # Windows open and close at whole days: within the hours of a test run, one hour is as good as now.
        query = {"legalEntityId": visit.named} if visit.named else {}
        check(shopper.get, world, present, query)
        transaction.set_rollback(True)
