"""Who sees what: the rules of membership, of the entity acted for, and of windows, at their edges."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.identity.scopes import SEGMENT_READ
from accounts.models import Customer, LegalEntity, Site
from catalog.models import Category
from catalog.revisions import TREE
from core.errors import InvalidInput, NotAllowed
from core.json_types import JsonObject
from core.sql.fetching import fetch_rows
from core.tenancy.callers import Caller, CallerKind, Identity, TenantRecord
from core.tenancy.models import Tenant
from segments.customer_context import CustomerContext, Shopper, shopper_of
from segments.models import ItemAssignment, Segment
from segments.visibility import categories_of_segments, matching_products, resolve
from tests.factories.accounts import (
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SiteFactory,
)
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

SECOND = timedelta(seconds=1)


@pytest.fixture
def company(tenant: Tenant, customer: Customer) -> LegalEntity:
    entity = LegalEntityFactory(tenant=tenant, external_id="ACME")
    ContactAssignmentFactory(legal_entity=entity, customer=customer)
    return entity


@pytest.fixture
def make_segment(site: Site) -> Callable[..., Segment]:
    return lambda **facts: SegmentFactory(site=site, **facts)


def caller_of(
    tenant: Tenant, customer: Customer | None = None, *, legal_entity: LegalEntity | None = None
) -> Caller:
    return Caller(
        tenant=TenantRecord(tenant.id, tenant.name, "en", ("en",), "EUR"),
        kind=CallerKind.CUSTOMER if customer else CallerKind.ANONYMOUS,
        client_id="storefront",
        scopes=frozenset(),
        expires_at=datetime.max,  # noqa: DTZ901 - nothing compares it here
        customer=Identity(customer.id, customer.external_id) if customer else None,
        legal_entity=Identity(legal_entity.id, legal_entity.external_id) if legal_entity else None,
    )


def shopper(customer: Customer, legal_entity: LegalEntity | None = None) -> Shopper:
    bound = Identity(legal_entity.id, legal_entity.external_id) if legal_entity else None
    return Shopper(customer.tenant_id, customer_id=customer.id, bound_legal_entity=bound)


def keys_seen(shopper: Shopper, at: datetime) -> tuple[int, ...]:
    return resolve(shopper, at=at).segment_ids


def context_of(caller: Caller, legal_entity_id: str | None = None) -> CustomerContext:
    return resolve(shopper_of(caller, legal_entity_id=legal_entity_id), at=datetime.now(UTC)).context


@pytest.mark.parametrize(
    ("facts", "counts"),
    [
        ({}, True),
        ({"status": "INACTIVE"}, False),
        ({"valid_from": timedelta(0)}, True),
        ({"valid_from": SECOND}, False),
        ({"valid_to": timedelta(0)}, True),
        ({"valid_to": -SECOND}, False),
        ({"valid_from": -SECOND, "valid_to": SECOND}, True),
    ],
)
def test_a_segment_counts_while_it_is_active_and_its_window_contains_the_instant(
    customer: Customer,
    make_segment: Callable[..., Segment],
    now: datetime,
    facts: JsonObject,
    counts: bool,
) -> None:
    facts = {name: now + value if isinstance(value, timedelta) else value for name, value in facts.items()}
    segment = make_segment(**facts)
    CustomerAssignmentFactory(segment=segment, customer=customer)

    assert keys_seen(shopper(customer), now) == ((segment.id,) if counts else ())


@pytest.mark.parametrize(
    ("opens", "closes", "counts"),
    [
        (None, None, True),
        (0, None, True),
        (1, None, False),
        (None, 0, True),
        (None, -1, False),
        (-1, 1, True),
    ],
)
def test_an_assignment_counts_while_its_own_window_contains_the_instant(
    customer: Customer,
    make_segment: Callable[..., Segment],
    now: datetime,
    opens: int | None,
    closes: int | None,
    counts: bool,
) -> None:
    segment = make_segment()
    CustomerAssignmentFactory(
        segment=segment,
        customer=customer,
        valid_from=None if opens is None else now + opens * SECOND,
        valid_to=None if closes is None else now + closes * SECOND,
    )

    assert keys_seen(shopper(customer), now) == ((segment.id,) if counts else ())


def test_a_b2c_assignment_counts_whatever_the_customer_acts_for(
    customer: Customer, company: LegalEntity, make_segment: Callable[..., Segment], now: datetime
) -> None:
    segment = make_segment()
    CustomerAssignmentFactory(segment=segment, customer=customer)

    assert keys_seen(shopper(customer, company), now) == (segment.id,)


def test_a_b2b_assignment_counts_only_for_the_entity_acted_for(
    customer: Customer, company: LegalEntity, make_segment: Callable[..., Segment], now: datetime
) -> None:
    other = LegalEntityFactory(tenant=customer.tenant)
    ContactAssignmentFactory(legal_entity=other, customer=customer)
    segment = make_segment()
    CustomerAssignmentFactory(segment=segment, customer=customer, legal_entity=company)

    assert keys_seen(shopper(customer, company), now) == (segment.id,)
    assert keys_seen(shopper(customer, other), now) == ()
    assert keys_seen(shopper(customer), now) == ()


def test_another_customers_assignment_does_not_count(
    customer: Customer, make_segment: Callable[..., Segment], now: datetime
) -> None:
    CustomerAssignmentFactory(segment=make_segment(), customer=CustomerFactory(tenant=customer.tenant))

    assert keys_seen(shopper(customer), now) == ()


def test_a_site_keeps_its_own_segments(customer: Customer, site: Site, now: datetime) -> None:
    here = SegmentFactory(site=site)
    there = SegmentFactory(site=SiteFactory(tenant=site.tenant, code="outlet"))
    for segment in (here, there):
        CustomerAssignmentFactory(segment=segment, customer=customer)

    assert keys_seen(shopper(customer), now) == (here.id, there.id)
    assert resolve(shopper(customer), at=now, site_code="outlet").segment_ids == (there.id,)


def test_a_customer_of_one_entity_acts_for_it(customer: Customer, company: LegalEntity) -> None:
    context = context_of(caller_of(customer.tenant, customer))

    assert context == CustomerContext(customer.tenant_id, customer.id, company.id)


def test_a_customer_of_several_entities_who_names_none_acts_for_none(
    customer: Customer, company: LegalEntity
) -> None:
    other = LegalEntityFactory(tenant=customer.tenant, external_id="GLOBEX")
    ContactAssignmentFactory(legal_entity=other, customer=customer)
    caller = caller_of(customer.tenant, customer)

    assert context_of(caller).legal_entity_id is None
    assert context_of(caller, "GLOBEX").legal_entity_id == other.id


def test_a_token_bound_to_an_entity_acts_for_it(customer: Customer, company: LegalEntity) -> None:
    ContactAssignmentFactory(legal_entity=LegalEntityFactory(tenant=customer.tenant), customer=customer)
    caller = caller_of(customer.tenant, customer, legal_entity=company)

    assert context_of(caller).legal_entity_id == company.id
    assert context_of(caller, "ACME").legal_entity_id == company.id


def test_naming_another_entity_than_the_tokens_is_refused(customer: Customer, company: LegalEntity) -> None:
    other = LegalEntityFactory(tenant=customer.tenant, external_id="GLOBEX")
    ContactAssignmentFactory(legal_entity=other, customer=customer)

    with pytest.raises(NotAllowed, match="The token acts for the legal entity ACME, not for GLOBEX."):
        context_of(caller_of(customer.tenant, customer, legal_entity=company), "GLOBEX")


def test_naming_the_entity_of_others_is_refused(customer: Customer, company: LegalEntity) -> None:
    LegalEntityFactory(tenant=customer.tenant, external_id="GLOBEX")

    with pytest.raises(NotAllowed, match="The customer is not assigned to the legal entity GLOBEX."):
        context_of(caller_of(customer.tenant, customer), "GLOBEX")


def test_a_token_bound_to_an_entity_that_was_left_is_refused(
    customer: Customer, company: LegalEntity
) -> None:
    company.contacts.all().delete()

    with pytest.raises(NotAllowed, match="The customer is not assigned to the legal entity ACME."):
        context_of(caller_of(customer.tenant, customer, legal_entity=company))


def test_an_anonymous_caller_belongs_to_nothing(tenant: Tenant, now: datetime) -> None:
    resolved = resolve(shopper_of(caller_of(tenant)), at=now)

    assert resolved.context == CustomerContext(tenant.id)
    assert resolved.segment_ids == ()


def test_a_customer_named_by_number_is_resolved_by_the_same_rules(
    customer: Customer, company: LegalEntity, now: datetime
) -> None:
    named = Shopper(customer.tenant_id, customer_number=customer.external_id)

    assert resolve(named, at=now).context == CustomerContext(customer.tenant_id, customer.id, company.id)
    with pytest.raises(NotAllowed):
        resolve(replace(named, named_legal_entity="unknown"), at=now)


@pytest.mark.parametrize("segments", [1, 20])
def test_a_shoppers_segments_take_one_statement(
    customer: Customer,
    company: LegalEntity,
    make_segment: Callable[..., Segment],
    now: datetime,
    segments: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    made = [make_segment() for _ in range(segments)]
    for segment in made:
        CustomerAssignmentFactory(segment=segment, customer=customer, legal_entity=company)
    named = Shopper(customer.tenant_id, customer_number="C1", named_legal_entity="ACME")

    with django_assert_num_queries(1):
        resolved = resolve(named, at=now, site_code="main")

    assert resolved.context == CustomerContext(customer.tenant_id, customer.id, company.id)
    assert resolved.segment_ids == tuple(segment.id for segment in made)


def test_an_unknown_site_is_refused(customer: Customer, now: datetime) -> None:
    with pytest.raises(InvalidInput, match="There is no site moon."):
        resolve(Shopper(customer.tenant_id, customer_id=customer.id), at=now, site_code="moon")


def test_an_unknown_customer_belongs_to_nothing(tenant: Tenant, now: datetime) -> None:
    assert resolve(Shopper(tenant.id, customer_number="nobody"), at=now).segment_ids == ()


def test_products_match_by_their_own_assignments(site: Site, now: datetime) -> None:
    segment = SegmentFactory(site=site)
    inside, outside, expired = (ProductFactory(tenant=site.tenant, external_id=name) for name in "ABC")
    ItemAssignmentFactory(segment=segment, product=inside)
    ItemAssignmentFactory(segment=SegmentFactory(site=site), product=outside)
    ItemAssignmentFactory(segment=segment, product=expired, valid_to=now - SECOND)

    matched = matching_products(
        tenant_id=site.tenant_id, segment_ids=[segment.id], product_ids=["A", "B", "C", "D"], at=now
    )

    assert matched == {"A"}


def test_nothing_matches_without_segments_or_products(
    site: Site, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        for segment_ids, product_ids in (([], ["A"]), ([1], [])):
            assert (
                matching_products(
                    tenant_id=site.tenant_id, segment_ids=segment_ids, product_ids=product_ids, at=now
                )
                == frozenset()
            )


@pytest.fixture
def tools(site: Site) -> dict[str, int]:
    """The keys of Tools > Hammers > Sledges, and of Garden: Hammers in gold, Tools with all below in blue."""
    made: dict[str, Category] = {}
    for name, parent in (("tools", None), ("hammers", "tools"), ("sledges", "hammers"), ("garden", None)):
        made[name] = CategoryFactory(
            tenant=site.tenant, external_id=name, parent=made[parent] if parent else None
        )
    gold, blue = (SegmentFactory(site=site, external_id=name) for name in ("gold", "blue"))
    ItemAssignmentFactory(segment=gold, product=None, category=made["hammers"])
    ItemAssignmentFactory(segment=blue, product=None, category=made["tools"], includes_subcategories=True)
    return {name: category.id for name, category in made.items()}


def categories_named(caller: Caller, tools: dict[str, int], at: datetime, *segment_ids: str) -> set[str]:
    held = categories_of_segments(caller=caller, segment_ids=segment_ids, at=at, subjects=(TREE,))
    found = {key for (key,) in fetch_rows(held.keys())}
    return {name for name, key in tools.items() if key in found}


def test_categories_of_segments_are_those_assigned_and_with_subcategories_all_below(
    tenant: Tenant, tools: dict[str, int], now: datetime
) -> None:
    caller = caller_of(tenant)

    assert categories_named(caller, tools, now, "gold") == {"hammers"}
    assert categories_named(caller, tools, now, "blue", "unknown") == {"tools", "hammers", "sledges"}
    assert categories_named(caller, tools, now) == set()


def test_a_customer_names_only_own_segments(
    customer: Customer, company: LegalEntity, tools: dict[str, int], now: datetime
) -> None:
    caller = caller_of(customer.tenant, customer)
    assert categories_named(caller, tools, now, "gold", "blue") == set()

    gold = Segment.objects.get(external_id="gold")
    CustomerAssignmentFactory(segment=gold, customer=customer, legal_entity=company)
    assert categories_named(caller, tools, now, "gold", "blue") == {"hammers"}

    ContactAssignmentFactory(legal_entity=LegalEntityFactory(tenant=customer.tenant), customer=customer)
    assert categories_named(caller, tools, now, "gold", "blue") == set()
    bound = caller_of(customer.tenant, customer, legal_entity=company)
    assert categories_named(bound, tools, now, "gold", "blue") == {"hammers"}


def test_only_staff_names_segments_that_are_not_effective(
    tenant: Tenant, tools: dict[str, int], now: datetime
) -> None:
    Segment.objects.filter(external_id="gold").update(valid_to=now - SECOND)
    shopper = caller_of(tenant)
    staff = replace(shopper, scopes=frozenset({SEGMENT_READ}))

    assert categories_named(shopper, tools, now, "gold") == set()
    assert categories_named(staff, tools, now, "gold") == {"hammers"}


def test_an_assignment_outside_its_window_names_no_category(
    tenant: Tenant, tools: dict[str, int], now: datetime
) -> None:
    ItemAssignment.objects.update(valid_from=now + SECOND)
    staff = replace(caller_of(tenant), scopes=frozenset({SEGMENT_READ}))

    assert categories_named(staff, tools, now, "gold", "blue") == set()


def test_segments_of_another_tenant_name_nothing(
    other_tenant: Tenant, tools: dict[str, int], now: datetime
) -> None:
    assert categories_named(caller_of(other_tenant), tools, now, "gold", "blue") == set()
