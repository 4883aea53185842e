"""Webhook targets and their deliveries in the admin, in words."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from core.tenancy.models import Tenant
from events.models import Lane, Target
from tests.admin_forms import shown_form
from tests.factories.events import DeliveryFactory, EventFactory, TargetFactory, WebhookConfigFactory

URL = "https://shop.example/hook"


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


@pytest.mark.parametrize(
    ("stored", "entered", "expected"),
    [
        (None, None, None),  # those of the subscription
        ([], None, []),  # nothing, as a client has said
        (["name"], None, ["name"]),
        (None, "name,validity", ["name", "validity"]),
        (["name"], "", None),
    ],
)
def test_a_saved_target_leaves_out_what_it_did(
    staff_browser: Client,
    tenant: Tenant,
    stored: list[str] | None,
    entered: str | None,
    expected: list[str] | None,
) -> None:
    target = TargetFactory(
        tenant=tenant, event_type="customer-segment.segment-created", excluded_fields=stored
    )
    page = reverse("admin:events_target_change", args=[target.pk])
    values = shown_form(staff_browser, page)
    if entered is not None:
        values["excluded_fields"] = [entered]
    answer = staff_browser.post(page, values)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    target.refresh_from_db()
    assert target.excluded_fields == expected


def test_a_new_target_leaves_out_what_the_subscriptions_do(
    staff_browser: Client, tenant: Tenant, accessible: list[str]
) -> None:
    page = reverse("admin:events_target_add")
    answer = staff_browser.post(page, {**shown_form(staff_browser, page), "destination_url": URL})
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert Target.objects.get().excluded_fields is None


def test_deletion_counts_only_what_people_know(staff_browser: Client, tenant: Tenant) -> None:
    target = TargetFactory(tenant=tenant)
    event = EventFactory(tenant=tenant, occurred_at=datetime(2026, 3, 4, tzinfo=UTC))
    DeliveryFactory(event=event, target=target)
    Lane.objects.create(tenant=tenant, target=target, order_key="segment gold")
    page = staff_browser.get(reverse("admin:events_target_delete", args=[target.pk]))
    assert dict(page.context["model_count"]) == {"webhook target": "1", "delivery": "1"}
