import pytest

from accounts.models import Customer, LegalEntity
from core.tenancy.models import Tenant
from tests.factories.accounts import CustomerFactory, LegalEntityFactory


@pytest.fixture
def customer(tenant: Tenant) -> Customer:
    return CustomerFactory(tenant=tenant, external_id="C1", email="john@example.com")


@pytest.fixture
def company(tenant: Tenant) -> LegalEntity:
    return LegalEntityFactory(tenant=tenant, external_id="abc", name="ABC Company")
