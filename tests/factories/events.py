import factory

from events.models import Delivery, Event, Subscription, Target, WebhookConfig
from tests.factories.accounts import TenantFactory


class WebhookConfigFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = WebhookConfig

    tenant = factory.SubFactory(TenantFactory)


class TargetFactory(factory.django.DjangoModelFactory):
    """A target of its own for the creation of segments."""

    class Meta:
        model = Target

    tenant = factory.SubFactory(TenantFactory)
    event_type = "customer-segment.segment-created"
    destination_url = "https://shop.example/webhook"


class SubscriptionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Subscription

    tenant = factory.SubFactory(TenantFactory)
    event_type = "customer-segment.segment-created"


class EventFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Event

    tenant = factory.SubFactory(TenantFactory)
    type = "customer-segment.segment-created"
    order_key = "segment gold"
    payload = factory.Sequence(lambda n: {"id": f"gold{n}", "tenant": "acme"})


class DeliveryFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Delivery

    tenant = factory.SelfAttribute("event.tenant")
    order_key = factory.SelfAttribute("event.order_key")
