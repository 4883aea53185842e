from datetime import timedelta

import factory
from django.utils import timezone

from accounts.identity.models import ApiClient, Session
from accounts.models import ContactAssignment, Customer, LegalEntity, Site, User
from core.tenancy.models import Tenant


class TenantFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Tenant

    name = factory.Sequence(lambda n: f"tenant{n}")
    default_language = "en"
    languages = ["en", "de"]
    currency = "EUR"


class SiteFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Site

    tenant = factory.SubFactory(TenantFactory)
    code = "main"
    name = "Main"


class CustomerFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Customer

    tenant = factory.SubFactory(TenantFactory)
    external_id = factory.Sequence(lambda n: f"C{1_000 + n}")  # tests name C1 and so on themselves
    email = factory.LazyAttribute(lambda customer: f"{customer.external_id.lower()}@example.com")
    first_name = "John"
    last_name = "Doe"
    preferred_language = "en_US"
    preferred_currency = "USD"
    preferred_site = "main"


class LegalEntityFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = LegalEntity

    tenant = factory.SubFactory(TenantFactory)
    external_id = factory.Sequence(lambda n: f"L{1_000 + n}")
    name = factory.Sequence(lambda n: f"Company {n}")


class ContactAssignmentFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ContactAssignment

    legal_entity = factory.SubFactory(LegalEntityFactory)
    customer = factory.SubFactory(CustomerFactory, tenant=factory.SelfAttribute("..legal_entity.tenant"))
    tenant = factory.SelfAttribute("legal_entity.tenant")


class ApiClientFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ApiClient

    tenant = factory.SubFactory(TenantFactory)
    client_id = factory.Sequence(lambda n: f"client-{n}")


class SessionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Session

    client = factory.SubFactory(ApiClientFactory)
    tenant = factory.SelfAttribute("client.tenant")
    expires_at = factory.LazyAttribute(lambda session: session.created_at + timedelta(days=1))
    created_at = factory.LazyFunction(timezone.now)


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User

    username = factory.Sequence(lambda n: f"staff-{n}")
    tenant = factory.SubFactory(TenantFactory)
    is_staff = True
