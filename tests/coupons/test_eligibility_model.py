"""Eligibility against a model in plain Python that shares no code with it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Customer
from catalog.models import CategoryAssignment, Product
from core.errors import NotAllowed
from coupons.eligibility import assess_coupon
from coupons.models import Coupon, CouponCategory, CouponSegment, Redemption
from coupons.money import Amount, Money
from coupons.orders import Buyer, Order, OrderItem
from segments.models import CustomerAssignment, ItemAssignment, Segment
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
    TenantFactory,
)
from tests.factories.catalog import CategoryFactory

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
PARENTS = {"food": None, "fruit": "food", "apples": "fruit", "drinks": None}
PRODUCTS = ("P0", "P1", "P2", "P3")
SEGMENTS = ("S0", "S1")
ENTITIES = ("L0", "L1")
CURRENCIES = ("EUR", "EUR", "EUR", "EUR", "JPY")  # mostly one, so that not all is a mismatch


@dataclass
class World:
    """What is in the database besides the coupon; windows are hours around NOW, None being open."""

    contacts: list[str]
    segments: dict[str, dict]
    members: list[dict]
    items: list[dict]
    places: list[tuple[str, str]]


@dataclass
class Case:
    world: World
    coupon: dict
    customer: str
    entity: str
    earlier: list[str]
    total: int
    currency: str
    discount: int
    discount_currency: str
    lines: list[tuple[str, int]] | None
    hour: int
    segments: list[str] = field(default_factory=list)
    included: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)


ends = st.sampled_from([None, None, None, -2, -1, 0, 1, 2])
windows = st.tuples(ends, ends).map(
    lambda pair: pair if None in pair or pair[0] <= pair[1] else (pair[1], pair[0])
)


def some(values, *, at_least=0):
    return st.lists(st.sampled_from(values), unique=True, min_size=at_least)


@st.composite
def worlds(draw):
    return World(
        contacts=draw(some(ENTITIES)),
        segments={
            name: {"status": draw(st.sampled_from(["ACTIVE", "ACTIVE", "INACTIVE"])), "window": draw(windows)}
            for name in SEGMENTS
        },
        members=[
            {"segment": segment, "entity": entity, "window": draw(windows)}
            for segment in SEGMENTS
            for entity in (None, *ENTITIES)
            if draw(st.booleans())
        ],
        items=[
            {
                "segment": segment,
                "item": item,
                "deep": item in PARENTS and draw(st.booleans()),
                "window": draw(windows),
            }
            for segment in SEGMENTS
            for item in (*PRODUCTS, *PARENTS)
            if draw(st.integers(0, 2)) == 0
        ],
        places=draw(st.lists(st.tuples(st.sampled_from(PRODUCTS), st.sampled_from([*PARENTS])), unique=True)),
    )


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(["none", "segments", "categories", "customers", "anonymous"]))
    discount_type = draw(st.sampled_from(["PERCENT", "ABSOLUTE", "FREE_SHIPPING"]))
    if kind == "categories" and discount_type == "FREE_SHIPPING":
        discount_type = "PERCENT"
    minimum = draw(st.sampled_from([None, 0, 30]))
    coupon = {
        "discount_type": discount_type,
        "discount_percentage": Decimal(draw(st.sampled_from(["0", "12.5", "50", "100"]))),
        "discount_amount": Decimal(draw(st.sampled_from(["0", "7.5", "60"]))),
        "discount_currency": draw(st.sampled_from(CURRENCIES)),
        "window": draw(windows),
        "max_redemptions": draw(st.sampled_from([None, None, 1, 3])),
        "max_redemptions_per_customer": None
        if kind == "anonymous"
        else draw(st.sampled_from([None, None, 1, 2])),
        "min_order_amount": minimum,
        "min_order_currency": None if minimum is None else draw(st.sampled_from(CURRENCIES)),
        "allows_anonymous": kind == "anonymous",
        "is_segment_restricted": kind == "segments",
        "is_category_restricted": kind == "categories",
        "valid_for": draw(some(["C1", "C2"])) if kind == "customers" else [],
    }
    included = draw(some([*PARENTS])) if kind == "categories" else []
    left = [name for name in PARENTS if name not in included]
    return Case(
        world=draw(worlds()),
        coupon=coupon,
        customer=draw(st.sampled_from(["C1", "C1", "C1", "C1", "C1", "nobody", ""])),
        entity=draw(st.sampled_from(["", "", "", "", "", *ENTITIES])),
        earlier=draw(st.lists(st.sampled_from(["", *ENTITIES]), max_size=3)),
        total=draw(st.integers(0, 100)),
        currency=draw(st.sampled_from(CURRENCIES)),
        discount=draw(st.sampled_from([0, 0, 1, 7, 8, 30, 60])),
        discount_currency=draw(st.sampled_from(CURRENCIES)),
        lines=draw(
            st.none()
            | st.lists(st.tuples(st.sampled_from([*PRODUCTS, "unknown"]), st.integers(0, 51)), max_size=4)
        ),
        hour=draw(st.integers(-2, 2)),
        segments=draw(some(SEGMENTS, at_least=1)) if kind == "segments" else [],
        included=included,
        excluded=draw(some(left)) if left and kind == "categories" else [],
    )


# The model


def contains(window, hour):
    start, end = window
    return (start is None or start <= hour) and (end is None or hour <= end)


def with_ancestors(category):
    while category:
        yield category
        category = PARENTS[category]


def model(case: Case):
    """The reasons, eligible lines and discount that the contract's text asks for; None: forbidden."""
    world, coupon, hour = case.world, case.coupon, case.hour
    known = case.customer == "C1"
    if case.entity and (not known or case.entity not in world.contacts):
        return None
    acting = case.entity or (world.contacts[0] if known and len(world.contacts) == 1 else "")
    own_segments = {
        row["segment"]
        for row in world.members
        if known
        and row["entity"] in (None, acting or None)
        and contains(row["window"], hour)
        and world.segments[row["segment"]]["status"] == "ACTIVE"
        and contains(world.segments[row["segment"]]["window"], hour)
    } & set(case.segments)
    reasons = set()
    if coupon["window"][0] is not None and hour < coupon["window"][0]:
        reasons.add("coupon_not_started")
    if coupon["window"][1] is not None and hour > coupon["window"][1]:
        reasons.add("coupon_expired")
    if coupon["max_redemptions"] is not None and len(case.earlier) >= coupon["max_redemptions"]:
        reasons.add("coupon_used_up")
    limit = coupon["max_redemptions_per_customer"]
    uses = case.earlier.count(acting) if case.customer == "C1" else 0
    if case.customer and limit is not None and uses >= limit:
        reasons.add("legal_entity_limit_reached" if acting else "customer_limit_reached")
    if not case.customer and not coupon["allows_anonymous"]:
        reasons.add("anonymous_not_allowed")
    if (case.customer == "nobody" and not coupon["allows_anonymous"]) or (
        coupon["valid_for"] and case.customer not in coupon["valid_for"]
    ):
        reasons.add("customer_not_eligible")
    if coupon["is_segment_restricted"] and not own_segments:
        reasons.add("segment_membership_missing")
    lines, base = None, Decimal(case.total)
    if case.lines is not None:
        lines = [line for line in case.lines if applies(case, line[0], own_segments)]
        base = Decimal(sum(amount for _, amount in lines))
        if not lines:
            reasons.add("no_eligible_item")
    minimum = coupon["min_order_amount"]
    is_absolute = coupon["discount_type"] == "ABSOLUTE"
    if (
        case.discount_currency != case.currency
        or (minimum and coupon["min_order_currency"] != case.currency)
        or (is_absolute and coupon["discount_currency"] != case.currency)
    ):
        reasons.add("currency_mismatch")
    if minimum and coupon["min_order_currency"] == case.currency and case.total < minimum:
        reasons.add("min_order_value_not_reached")
    granted = grant(coupon, base, case.currency)
    if (
        coupon["discount_type"] != "FREE_SHIPPING"
        and granted is not None
        and case.discount_currency == case.currency
        and case.discount > granted
    ):
        reasons.add("discount_too_high")
    return reasons, lines, granted


def applies(case: Case, product: str, own_segments: set[str]) -> bool:
    if case.coupon["is_segment_restricted"]:
        return product in PRODUCTS and any(
            row["segment"] in own_segments
            and contains(row["window"], case.hour)
            and (
                row["item"] == product
                or any(
                    place == product
                    and row["item"] in (list(with_ancestors(category)) if row["deep"] else [category])
                    for place, category in case.world.places
                )
            )
            for row in case.world.items
        )
    if case.coupon["is_category_restricted"]:
        around = {
            above
            for place, category in case.world.places
            if place == product
            for above in with_ancestors(category)
        }
        return (
            product in PRODUCTS
            and (not case.included or bool(around & set(case.included)))
            and not around & set(case.excluded)
        )
    return True


def grant(coupon, base: Decimal, currency: str) -> Decimal | None:
    if coupon["discount_type"] == "FREE_SHIPPING":
        return Decimal(0)
    if coupon["discount_type"] == "ABSOLUTE":
        if coupon["discount_currency"] != currency:
            return None
        amount = coupon["discount_amount"]
    else:
        amount = base * coupon["discount_percentage"] / 100
    unit = Decimal("0.01") if currency == "EUR" else Decimal(1)
    return min(amount.quantize(unit, rounding=ROUND_HALF_UP), base)


# The same in the database


def window_columns(window):
    start, end = (None if hour is None else NOW + timedelta(hours=hour) for hour in window)
    return {"valid_from": start, "valid_to": end}


@pytest.fixture
def ground(db):
    """What is the same in every world."""
    tenant = TenantFactory()
    categories = {}
    for name, parent in PARENTS.items():
        categories[name] = CategoryFactory(tenant=tenant, parent=categories.get(parent), external_id=name)
    return {
        "tenant": tenant,
        "site": SiteFactory(tenant=tenant),
        "customer": CustomerFactory(tenant=tenant, external_id="C1"),
        "entities": {name: LegalEntityFactory(tenant=tenant, external_id=name) for name in ENTITIES},
        "categories": categories,
        "products": {
            product.external_id: product
            for product in Product.objects.bulk_create(
                Product(tenant=tenant, external_id=name, code=name) for name in PRODUCTS
            )
        },
    }


def build(ground, case: Case) -> None:
    tenant, world, customer = ground["tenant"], case.world, ground["customer"]
    for name in world.contacts:
        ContactAssignmentFactory(customer=customer, legal_entity=ground["entities"][name])
    segments = {
        name: Segment.objects.create(
            tenant=tenant,
            site=ground["site"],
            external_id=name,
            status=values["status"],
            **window_columns(values["window"]),
        )
        for name, values in world.segments.items()
    }
    CustomerAssignment.objects.bulk_create(
        CustomerAssignment(
            tenant=tenant,
            segment=segments[row["segment"]],
            customer=customer,
            legal_entity=ground["entities"].get(row["entity"]),
            **window_columns(row["window"]),
        )
        for row in world.members
    )
    ItemAssignment.objects.bulk_create(
        ItemAssignment(
            tenant=tenant,
            segment=segments[row["segment"]],
            product=ground["products"].get(row["item"]),
            category=ground["categories"].get(row["item"]),
            includes_subcategories=row["deep"],
            **window_columns(row["window"]),
        )
        for row in world.items
    )
    CategoryAssignment.objects.bulk_create(
        CategoryAssignment(
            tenant=tenant, product=ground["products"][product], category=ground["categories"][category]
        )
        for product, category in world.places
    )
    values = {name: value for name, value in case.coupon.items() if name != "window"}
    coupon = Coupon.objects.create(
        tenant=tenant,
        code="A",
        name="A",
        redemption_count=len(case.earlier),
        **values,
        **window_columns(case.coupon["window"]),
    )
    CouponSegment.objects.bulk_create(
        CouponSegment(tenant=tenant, coupon=coupon, segment=segments[name], segment_external_id=name)
        for name in case.segments
    )
    CouponCategory.objects.bulk_create(
        CouponCategory(
            tenant=tenant,
            coupon=coupon,
            category=ground["categories"][name],
            category_external_id=name,
            is_excluded=name in case.excluded,
        )
        for name in (*case.included, *case.excluded)
    )
    Redemption.objects.bulk_create(
        Redemption(
            tenant=tenant,
            coupon=coupon,
            customer=customer,
            customer_number="C1",
            legal_entity_id=entity,
            order_total_amount=1,
            order_total_currency="EUR",
            discount_amount=0,
            discount_currency="EUR",
            redeemed_at=NOW,
        )
        for entity in case.earlier
    )


def judged(ground, case: Case):
    tenant_id = ground["tenant"].pk
    try:
        buyer = (
            Buyer.named(tenant_id, case.customer, legal_entity_id=case.entity)
            if case.customer
            else Buyer.anonymous(tenant_id, legal_entity_id=case.entity)
        )
        order = Order(
            Money(Amount(case.total), case.currency),
            Money(Amount(case.discount), case.discount_currency),
            None
            if case.lines is None
            else [OrderItem(product, Amount(amount)) for product, amount in case.lines],
        )
        verdict = assess_coupon(
            tenant_id=tenant_id, code="a", buyer=buyer, order=order, at=NOW + timedelta(hours=case.hour)
        )
    except NotAllowed:
        return None
    types = [reason.type.value for reason in verdict.reasons]
    assert len(types) == len(set(types))
    lines = None if case.lines is None else [(item.id, item.amount) for item in verdict.eligible_items]
    return set(types), lines, verdict.discount


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
def test_verdict_is_the_models(ground, case):
    with transaction.atomic():
        build(ground, case)
        assert judged(ground, case) == model(case)
        transaction.set_rollback(True)
    assert Customer.objects.count() == 1
