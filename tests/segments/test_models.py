"""What the database refuses, by whichever entry point a row comes."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError

from accounts.models import Site
from core.tenancy.models import Tenant
from tests.conftest import NOW
from tests.factories.accounts import CustomerFactory, LegalEntityFactory, SiteFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

PAST, FUTURE = NOW - timedelta(days=1), NOW + timedelta(days=1)


def refused(constraint: str) -> Any:
    return pytest.raises(IntegrityError, match=constraint)


def test_a_segments_id_is_unique_in_its_tenant(site: Site, other_tenant: Tenant) -> None:
    SegmentFactory(site=site, external_id="gold")
    SegmentFactory(site=SiteFactory(tenant=other_tenant), external_id="gold")

    with refused("segment_id_unique"):
        SegmentFactory(site=site, external_id="gold")


@pytest.mark.parametrize(
    ("factory", "constraint"),
    [
        (SegmentFactory, "segment_window_opens_before_it_closes"),
        (CustomerAssignmentFactory, "customer_assignment_window_opens_before_it_closes"),
        (ItemAssignmentFactory, "item_assignment_window_opens_before_it_closes"),
    ],
)
def test_a_window_opens_before_it_closes(site: Site, factory: Any, constraint: str) -> None:
    with refused(constraint):
        factory(valid_from=FUTURE, valid_to=PAST)


def test_a_customer_is_in_a_segment_once_alone_and_once_for_each_entity(site: Site) -> None:
    first = CustomerAssignmentFactory(segment=SegmentFactory(site=site))
    entity = LegalEntityFactory(tenant=site.tenant)
    CustomerAssignmentFactory(segment=first.segment, customer=first.customer, legal_entity=entity)

    with refused("customer_assignment_unique"):
        CustomerAssignmentFactory(segment=first.segment, customer=first.customer)


def test_an_item_is_in_a_segment_once(site: Site) -> None:
    first = ItemAssignmentFactory(segment=SegmentFactory(site=site))

    with refused("item_assignment_unique"):
        ItemAssignmentFactory(segment=first.segment, product=first.product)


@pytest.mark.parametrize("kind", ["neither", "both", "product with subcategories"])
def test_an_item_is_a_product_or_a_category(site: Site, kind: str) -> None:
    product = ProductFactory(tenant=site.tenant)
    facts = {
        "neither": {"product": None},
        "both": {"product": product, "category": CategoryFactory(tenant=site.tenant)},
        "product with subcategories": {"product": product, "includes_subcategories": True},
    }[kind]

    with refused("item_assignment_product_or_category"):
        ItemAssignmentFactory(segment=SegmentFactory(site=site), **facts)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["site", "customer", "legal entity", "product", "category"])
def test_nothing_of_another_tenant_can_be_referred_to(
    site: Site, tenant: Tenant, other_tenant: Tenant, what: str
) -> None:
    segment = SegmentFactory(site=site)
    writes = {
        "site": lambda: SegmentFactory(site=SiteFactory(tenant=other_tenant), tenant=tenant),
        "customer": lambda: CustomerAssignmentFactory(
            segment=segment, customer=CustomerFactory(tenant=other_tenant)
        ),
        "legal entity": lambda: CustomerAssignmentFactory(
            segment=segment, legal_entity=LegalEntityFactory(tenant=other_tenant)
        ),
        "product": lambda: ItemAssignmentFactory(
            segment=segment, product=ProductFactory(tenant=other_tenant)
        ),
        "category": lambda: ItemAssignmentFactory(
            segment=segment, product=None, category=CategoryFactory(tenant=other_tenant)
        ),
    }

    with refused("_site|_customer|_legal_entity|_product|_category"):
        writes[what]()
