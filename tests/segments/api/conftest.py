from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from accounts.identity.scopes import SEGMENT_MANAGE, SEGMENT_READ
from accounts.models import Customer, LegalEntity, Site
from segments.models import Segment
from tests.conftest import Api
from tests.factories.accounts import ContactAssignmentFactory, CustomerFactory, LegalEntityFactory
from tests.factories.segments import SegmentFactory

THEN = datetime(2024, 5, 14, 12, tzinfo=UTC)


@pytest.fixture
def manager(service_api: Callable[..., Api], site: Site) -> Api:
    return service_api(SEGMENT_MANAGE)


@pytest.fixture
def reader(service_api: Callable[..., Api], site: Site) -> Api:
    return service_api(SEGMENT_READ)


@pytest.fixture
def gold(site: Site) -> Segment:
    return SegmentFactory(
        site=site,
        external_id="gold",
        name={"en": "Gold", "de": "Gold!"},
        description={"en": "Best"},
        valid_from=datetime(2024, 4, 17, 8, tzinfo=UTC),
        created_at=THEN,
        modified_at=THEN,
    )


@pytest.fixture
def customer(site: Site) -> Customer:
    return CustomerFactory(
        tenant=site.tenant, external_id="C1", first_name="Jo", last_name="Doe", email="jo@example.com"
    )


@pytest.fixture
def company(customer: Customer) -> LegalEntity:
    """A legal entity that the customer may act for."""
    entity = LegalEntityFactory(tenant=customer.tenant, external_id="L1", name="Some Company")
    ContactAssignmentFactory(legal_entity=entity, customer=customer)
    return entity
