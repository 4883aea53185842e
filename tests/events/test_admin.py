"""Webhook targets and their deliveries in the admin, in words."""

from datetime import UTC, datetime

from django.test import Client
from django.urls import reverse

from core.tenancy.models import Tenant
from events.models import Lane
from tests.factories.events import DeliveryFactory, EventFactory, TargetFactory, WebhookConfigFactory


def test_a_delivery_is_called_by_its_event_and_target(staff_browser: Client, tenant: Tenant) -> None:
    event = EventFactory(tenant=tenant, occurred_at=datetime(2026, 3, 4, 9, 30, tzinfo=UTC))
    target = TargetFactory(tenant=tenant, name="Shop")
    delivery = DeliveryFactory(event=event, target=target, state="FAILED")
    page = staff_browser.get(reverse("admin:events_delivery_change", args=[delivery.pk]))
    assert str(page.context["original"]) == "customer-segment.segment-created, Shop"
    assert "4 Mar 2026, 09:30 UTC</time>" in page.content.decode()
    listed = staff_browser.get(reverse("admin:events_delivery_changelist")).content.decode()
    assert '<span class="status status-broken">Failed</span>' in listed


def test_a_configuration_is_called_by_its_tenant(staff_browser: Client, tenant: Tenant) -> None:
    config = WebhookConfigFactory(tenant=tenant)
    page = staff_browser.get(reverse("admin:events_webhookconfig_change", args=[config.pk]))
    assert str(page.context["original"]) == f"Webhooks of {tenant}"


def test_deletion_counts_only_what_people_know(staff_browser: Client, tenant: Tenant) -> None:
    target = TargetFactory(tenant=tenant)
    event = EventFactory(tenant=tenant, occurred_at=datetime(2026, 3, 4, tzinfo=UTC))
    DeliveryFactory(event=event, target=target)
    Lane.objects.create(tenant=tenant, target=target, order_key="segment gold")
    page = staff_browser.get(reverse("admin:events_target_delete", args=[target.pk]))
    assert dict(page.context["model_count"]) == {"webhook target": "1", "delivery": "1"}
