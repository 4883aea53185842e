import re

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.identity.models import ClientSecret, SigningKey
from accounts.models import Customer
from core.tenancy.models import Tenant
from tests.factories.accounts import (
    ApiClientFactory,
    ContactAssignmentFactory,
    CustomerFactory,
    LegalEntityFactory,
    SessionFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)


def refused(constraint, make, **arguments):
    """The database refuses what `make` would store, by this constraint."""
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        make(**arguments)


def test_email_is_unique_in_a_tenant_whatever_its_case(tenant, other_tenant):
    CustomerFactory(tenant=tenant, email="john@example.com")
    refused("customer_email_unique", CustomerFactory, tenant=tenant, email="John@Example.com")
    CustomerFactory(tenant=other_tenant, email="john@example.com")
    CustomerFactory.create_batch(2, tenant=tenant, email=None)


def test_customer_number_is_unique_in_a_tenant_and_case_sensitive(tenant, other_tenant):
    CustomerFactory(tenant=tenant, external_id="C1")
    refused("customer_id_unique", CustomerFactory, tenant=tenant, external_id="C1", email=None)
    CustomerFactory(tenant=tenant, external_id="c1", email=None)
    CustomerFactory(tenant=other_tenant, external_id="C1")


def test_email_is_looked_up_in_any_case(tenant):
    customer = CustomerFactory(tenant=tenant, email="John@Example.com")
    CustomerFactory(tenant=tenant, email=None)
    assert Customer.objects.for_tenant(tenant).with_email(" john@EXAMPLE.com").get() == customer
    assert not Customer.objects.for_tenant(tenant).with_email("").exists()


def test_email_is_looked_up_through_an_index(tenant):
    Customer.objects.bulk_create(
        Customer(tenant=tenant, external_id=str(number), email=f"{number}@example.com")
        for number in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE accounts_customer")
    plan = Customer.objects.for_tenant(tenant).with_email("77@example.com").explain()
    assert re.search(r"Index Cond: .*lower\(\(email\)::text\) = '77@example.com'", plan)


def test_contact_is_unique_and_of_one_tenant(tenant, other_tenant):
    contact = ContactAssignmentFactory(legal_entity__tenant=tenant)
    pair = {"legal_entity": contact.legal_entity, "customer": contact.customer}
    refused("contact_unique", ContactAssignmentFactory, **pair)
    refused(
        "contact_assignment_customer",
        ContactAssignmentFactory,
        legal_entity=contact.legal_entity,
        customer=CustomerFactory(tenant=other_tenant),
    )


def test_parent_belongs_to_the_same_tenant_and_keeps_its_row(tenant, other_tenant):
    parent = LegalEntityFactory(tenant=tenant)
    refused("legal_entity_parent", LegalEntityFactory, tenant=other_tenant, parent=parent)
    LegalEntityFactory(tenant=tenant, parent=parent)
    refused("legal_entity_parent", parent.delete)


def test_session_belongs_to_one_tenant(tenant, other_tenant):
    client = ApiClientFactory(tenant=tenant)
    customer = CustomerFactory(tenant=other_tenant)
    refused("session_customer", SessionFactory, client=client, customer=customer)
    refused("session_client", SessionFactory, client=client, tenant=other_tenant)


def test_tenant_has_one_default_site(tenant, other_tenant):
    SiteFactory(tenant=tenant, code="a", is_default=True)
    refused("site_single_default", SiteFactory, tenant=tenant, code="b", is_default=True)
    refused("site_code_unique", SiteFactory, tenant=tenant, code="a")
    SiteFactory(tenant=tenant, code="b")
    SiteFactory(tenant=other_tenant, code="a", is_default=True)


@pytest.mark.parametrize("name", ["ab", "a" * 17, "Acme", "1acme", "ac-me", ""])
def test_tenant_name_is_short_and_lower_case(db, name):
    with pytest.raises(Exception, match="tenant_name_is_lower_case|too long"), transaction.atomic():
        TenantFactory(name=name)
    assert not Tenant.objects.exists()


def test_default_language_is_one_of_the_tenants(db):
    refused(
        "tenant_default_language_is_configured", TenantFactory, default_language="fr", languages=["en", "de"]
    )


def test_client_has_at_most_two_secrets(tenant):
    client = ApiClientFactory(tenant=tenant)
    for slot in (1, 2):
        ClientSecret.objects.create(client=client, slot=slot, digest="d")
    refused("client_secret_two_slots", ClientSecret.objects.create, client=client, slot=3, digest="d")
    refused("client_secret_slot_unique", ClientSecret.objects.create, client=client, slot=1, digest="d")


def test_there_is_one_active_and_one_next_key(db):
    for status in ("active", "next", "retired"):
        SigningKey.objects.create(kid=status, private_key="", public_key={}, status=status)
    SigningKey.objects.create(kid="older", private_key="", public_key={}, status="retired")
    for status in ("active", "next"):
        refused(
            "signing_key_one_per_status",
            SigningKey.objects.create,
            kid=f"another {status}",
            private_key="",
            public_key={},
            status=status,
        )


def test_member_of_staff_belongs_to_a_tenant(db):
    refused("user_staff_has_tenant", UserFactory, tenant=None)
    UserFactory(tenant=None, is_superuser=True)
