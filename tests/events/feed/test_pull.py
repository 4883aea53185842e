"""GET /customer-segment/{tenant}/events: pages of the feed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from accounts.identity import scopes
from events.feed import pages
from events.feed.pages import delete_events
from events.models import Delivery, Event, Subscription, Target
from tests.events.feed.conftest import drain, subscribe
from tests.factories.catalog import ProductFactory
from tests.factories.segments import SegmentFactory

EVENTS = "/customer-segment/acme/events"
CREATED = "customer-segment.segment-created"


@pytest.fixture
def api(service_api):
    return service_api(scopes.WEBHOOK_READ, scopes.SEGMENT_READ)


def lines(answer):
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.content.decode().splitlines()]


def ids(answer):
    return [line["payload"]["id"] for line in lines(answer)]


def test_pages_follow_each_other(api, tenant, site):
    subscribe(tenant)
    for number in range(5):
        SegmentFactory(site=site, external_id=f"S{number}")
    drain()
    first = api.get(EVENTS, pageSize="2")
    [line, _] = lines(first)
    event = Event.objects.order_by("pk")[0]
    assert {**line, "payload": None, "occurredAt": None} == {
        "cursor": str(event.pk),
        "id": event.external_id,
        "type": CREATED,
        "occurredAt": None,
        "payload": None,
    }
    assert line["payload"] == event.payload
    second = api.get(EVENTS, pageSize="2", after=first["X-Next-Cursor"])
    third = api.get(EVENTS, pageSize="2", after=second["X-Next-Cursor"])
    assert [ids(page) for page in (first, second, third)] == [["S0", "S1"], ["S2", "S3"], ["S4"]]
    fourth = api.get(EVENTS, after=third["X-Next-Cursor"])
    assert (lines(fourth), fourth["X-Next-Cursor"]) == ([], third["X-Next-Cursor"])
    SegmentFactory(site=site, external_id="new")
    drain()
    assert ids(api.get(EVENTS, after=fourth["X-Next-Cursor"])) == ["new"]


def test_only_types_that_are_asked_for(api, service_api, tenant, site):
    subscribe(tenant)
    SegmentFactory(site=site)
    ProductFactory(tenant=tenant)
    drain()
    assert [line["type"] for line in lines(api.get(EVENTS))] == [CREATED]
    assert [line["type"] for line in lines(api.get(EVENTS, types=CREATED))] == [CREATED]
    refused = api.get(EVENTS, types=f"{CREATED},product.created")
    assert (refused.status_code, scopes.PRODUCT_READ_UNPUBLISHED in refused.json()["message"]) == (403, True)
    everything = service_api(scopes.WEBHOOK_READ, scopes.SEGMENT_READ, scopes.PRODUCT_READ_UNPUBLISHED)
    named = everything.get(EVENTS, types="PRODUCT.CREATED")
    assert [line["type"] for line in lines(named)] == ["product.created"]
    assert int(named["X-Next-Cursor"]) == Event.objects.order_by("pk").last().pk
    unknown = api.get(EVENTS, types="segment.exploded")
    assert unknown.status_code == 400
    assert "segment.exploded" in unknown.json()["message"]


def test_the_scope_of_the_feed_is_needed(service_api, tenant):
    assert service_api(scopes.SEGMENT_READ).get(EVENTS).status_code == 403


def test_a_rare_type_is_found_a_part_at_a_time(api, tenant, site, monkeypatch):
    monkeypatch.setattr(pages, "MOST_LOOKED_AT", 2)
    subscribe(tenant)
    for _ in range(3):
        SegmentFactory(site=site)
    site.segments.all()[0].delete()
    drain()
    cursor, found = "0", []
    for _ in range(3):
        page = api.get(EVENTS, types="customer-segment.segment-deleted", after=cursor)
        cursor = page["X-Next-Cursor"]
        found.append(len(lines(page)))
    assert found == [0, 1, 0]


def test_a_tenant_without_subscriptions_is_told_what_to_do(api, tenant):
    answer = api.get(EVENTS)
    assert answer.status_code == 409
    assert "PATCH /webhook/acme/event-subscriptions" in answer.json()["message"]
    subscribe(tenant, CREATED)
    answer = api.get(EVENTS, types="customer-segment.segment-deleted")
    assert answer.status_code == 409
    assert "not subscribed to customer-segment.segment-deleted" in answer.json()["message"]


def test_a_subscription_by_the_api_begins_the_feed(api, service_api, tenant, site):
    manager = service_api(scopes.WEBHOOK_MANAGE)
    body = [{"eventType": CREATED, "action": "SUBSCRIBE"}]
    assert manager.patch("/webhook/acme/event-subscriptions", body).status_code == 207
    SegmentFactory(site=site, external_id="gold")
    drain()
    assert ids(api.get(EVENTS)) == ["gold"]


@pytest.mark.parametrize("cursor", ["-1", "x", "1.5", "9" * 40, "٣"])
def test_what_is_no_cursor_is_refused(api, tenant, cursor):
    subscribe(tenant)
    answer = api.get(EVENTS, after=cursor)
    assert (answer.status_code, "cursor" in answer.json()["message"]) == (400, True)


def test_old_events_are_deleted_and_their_cursors_gone(api, tenant, site):
    subscribe(tenant)
    for number in range(4):
        SegmentFactory(site=site, external_id=f"S{number}")
    drain()
    first, second, waiting, last = Event.objects.order_by("pk")
    old = datetime.now(UTC) - timedelta(days=20)
    Event.objects.exclude(pk=last.pk).update(occurred_at=old)
    target = Target.objects.create(tenant=tenant, destination_url="https://example.com/")
    Delivery.objects.create(tenant=tenant, event=waiting, target=target, order_key="")
    assert delete_events(datetime.now(UTC) - timedelta(days=14), 5_000) == 2
    assert list(Event.objects.order_by("pk")) == [waiting, last]
    assert api.get(EVENTS, after=str(first.pk)).status_code == 410
    assert ids(api.get(EVENTS, after=str(second.pk))) == ["S2", "S3"]
    assert ids(api.get(EVENTS)) == ["S2", "S3"]


def test_a_cursor_does_not_bridge_a_time_without_feed(api, tenant, site):
    subscribe(tenant)
    SegmentFactory(site=site, external_id="before")
    drain()
    cursor = api.get(EVENTS)["X-Next-Cursor"]
    Subscription.objects.update(state="UNSUBSCRIBED")
    drain()
    SegmentFactory(site=site, external_id="meanwhile")
    Subscription.objects.update(state="SUBSCRIBED")
    drain()
    assert api.get(EVENTS, after=cursor).status_code == 410


def test_test_events_are_not_in_the_feed(api, tenant):
    subscribe(tenant)
    Event.objects.create(
        tenant=tenant, type=CREATED, order_key="", payload={}, occurred_at=datetime.now(UTC), is_test=True
    )
    page = api.get(EVENTS)
    assert (lines(page), page["X-Next-Cursor"]) == ([], "0")
