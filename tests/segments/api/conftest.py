from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from accounts.models import Customer, LegalEntity, Site
from catalog.models import Category, Product
from segments.models import Segment
from tests.conftest import Api
from tests.factories.accounts import ContactAssignmentFactory, LegalEntityFactory
from tests.factories.catalog import CategoryFactory, ProductFactory
from tests.factories.segments import CustomerAssignmentFactory, ItemAssignmentFactory, SegmentFactory

THEN = datetime(2024, 5, 14, 12, tzinfo=UTC)


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
def shopper(gold: Segment, customer: Customer, customer_api: Callable[..., Api]) -> Api:
    """The customer, as a member of the segment."""
    CustomerAssignmentFactory(segment=gold, customer=customer)
    return customer_api(customer)


@pytest.fixture
def product(customer: Customer) -> Product:
    return ProductFactory(tenant=customer.tenant, external_id="P1")


@pytest.fixture
def category(customer: Customer) -> Category:
    return CategoryFactory(tenant=customer.tenant, external_id="K1")


@pytest.fixture
def items_of_gold(gold: Segment, product: Product, category: Category) -> None:
    """The product and the category, as items of the segment."""
    ItemAssignmentFactory(segment=gold, product=product)
    ItemAssignmentFactory(segment=gold, product=None, category=category)


@pytest.fixture
def company(customer: Customer) -> LegalEntity:
    """A legal entity that the customer may act for."""
    entity = LegalEntityFactory(tenant=customer.tenant, external_id="L1", name="Some Company")
    ContactAssignmentFactory(legal_entity=entity, customer=customer)
    return entity
