"""Replays the examples of the Webhook Service's contract (see `replay`)."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from accounts.identity.scopes import WEBHOOK_MANAGE
from accounts.identity.tokens import issue_access_token
from core.json_types import JsonObject
from core.tenancy.callers import CallerKind
from core.tenancy.models import Tenant
from events.models import MonthlyCount, SubscriptionState
from events.operations import configuration
from tests.conftest import Api, client_of
from tests.contract.replay import as_parameters, read_examples, replay
from tests.factories.events import SubscriptionFactory, TargetFactory, WebhookConfigFactory

EXAMPLES = read_examples("webhooks")
PRODUCT_CREATED = "PRODUCT.CREATED"
PLACE = "https://gcp.cloudfunctions.net/webhook"


def plain_config(tenant: Tenant) -> None:
    WebhookConfigFactory(tenant=tenant, is_active=False)


def config_with_one_entry(tenant: Tenant) -> None:
    WebhookConfigFactory(tenant=tenant)
    TargetFactory(
        tenant=tenant,
        event_type="",
        destination_url=f"{PLACE}?name=General",
        secret_key="password123",
        headers={"header1": "value1", "header2": "value2"},
    )
    TargetFactory(
        tenant=tenant,
        external_id="3f1a2b4c-5d6e-7f80-91a2-b3c4d5e6f708",
        name="ERP integration",
        event_type=PRODUCT_CREATED,
        destination_url=f"{PLACE}?name=Detailed",
        secret_key="admin123",
        filter="$[?(@.code == 'abc')]",
        excluded_fields=["metadata"],
        position=1,
    )


def config(tenant: Tenant) -> None:
    config_with_one_entry(tenant)
    TargetFactory(
        tenant=tenant,
        external_id="8a9b0c1d-2e3f-4a5b-6c7d-8e9f0a1b2c3d",
        event_type=PRODUCT_CREATED,
        destination_url=f"{PLACE}?name=Second",
        excluded_fields=[],
        position=2,
    )


def subscriptions(tenant: Tenant) -> None:
    SubscriptionFactory(
        tenant=tenant, event_type="product.created", state=SubscriptionState.UNSUBSCRIBED, version=1
    )
    SubscriptionFactory(tenant=tenant, event_type="product.updated", version=2)
    SubscriptionFactory(tenant=tenant, event_type="product.deleted", version=2)


def months(tenant: Tenant) -> None:
    for month, delivered in (("2022-07", 5), ("2022-08", 2137), ("2022-09", 8994)):
        MonthlyCount.objects.create(tenant=tenant, month=month, delivered=delivered)


GIVEN: dict[str, Callable[[Tenant], None]] = {
    "plain config": plain_config,
    "config with one entry": config_with_one_entry,
    "config": config,
    "subscriptions": subscriptions,
    "months": months,
    "silent targets": lambda tenant: None,
}


@pytest.mark.parametrize("example", as_parameters(EXAMPLES))
def test_an_example_of_the_contract_is_answered_as_published(
    tenant: Tenant,
    service_api: Callable[..., Api],
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    example: JsonObject,
) -> None:
    def expired() -> Api:
        return Api(
            issue_access_token(
                tenant=tenant,
                kind=CallerKind.SERVICE,
                client_id=client_of(tenant, "test-client").client_id,
                at=now - timedelta(days=1),
            )
        )

    for name in example["given"]:
        GIVEN[name](tenant)
    monkeypatch.setattr(configuration, "is_accessible", lambda url: "silent targets" not in example["given"])
    replay(
        example,
        {
            "service": lambda: service_api(WEBHOOK_MANAGE),
            "no scopes": service_api,
            "invalid": lambda: Api("e30.e30.e30"),
            "expired": expired,
        },
    )


def test_the_list_of_subscriptions_has_the_published_members(
    tenant: Tenant, service_api: Callable[..., Api]
) -> None:
    """The example shows one type; the list has all."""
    subscriptions(tenant)
    found = service_api(WEBHOOK_MANAGE).get("/webhook/acme/event-subscriptions").json()
    [updated] = [one for one in found if one["event"]["type"] == "product.updated"]
    assert set(updated) == {"event", "metadata", "subscription", "excludedFields"}
    assert set(updated["event"]) == {"type", "eventSchema", "name", "group", "description"}
    assert {"id", "name", "description", "productType"} <= set(updated["event"]["eventSchema"])
    assert set(updated["metadata"]) == {"version", "createdAt", "modifiedAt"}
    assert (updated["subscription"], updated["metadata"]["version"]) == ("SUBSCRIBED", 2)


def test_every_operation_has_an_example() -> None:
    assert len({example["operation"] for example in EXAMPLES}) == 10
