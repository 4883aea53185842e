"""A client as the published description has it: configures a target, subscribes, verifies what arrives."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from accounts.identity.scopes import SERVICE_SCOPES
from accounts.models import Site
from events.delivering import Dispatcher
from tests.conftest import Api, Clock
from tests.events.feed.conftest import drain
from tests.events.receiver import Receiver
from tests.events.test_delivering import published_rule, standard_secret
from tests.factories.accounts import CustomerFactory

SECRET = "password123"
TYPES = [f"customer-segment.segment-{kind}" for kind in ("created", "updated", "deleted")] + [
    f"customer-segment.customer-assignment-{kind}" for kind in ("created", "deleted")
]
MEMBERS_OF_ENTRIES = {
    "id", "eventType", "destinationUrl", "secretKeyExists", "headers", "filter", "excludedFields", "active",
}  # fmt: skip


class PublishedClient:
    """The operations of the description; each checks the status that it documents and returns the body."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def create_config(self, body: dict[str, Any]) -> dict[str, Any]:
        return self.done(self.api.post("/webhook/acme/config", body), 201)

    def read_config(self, code: str) -> dict[str, Any]:
        return self.done(self.api.get(f"/webhook/acme/config/{code}"), 200)

    def subscriptions(self) -> list[dict[str, Any]]:
        return self.done(self.api.get("/webhook/acme/event-subscriptions"), 200)

    def change_subscriptions(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self.done(self.api.send("patch", "/webhook/acme/event-subscriptions", items), 207)

    def statistics(self) -> dict[str, Any]:
        return self.done(self.api.get("/webhook/acme/statistics"), 200)

    @staticmethod
    def done(response: Any, status: int) -> Any:
        assert response.status_code == status, response.content
        return response.json()


@pytest.fixture
def api(service_api: Callable[..., Api], site: Site) -> Api:
    return service_api(*SERVICE_SCOPES)


def test_it_subscribes_and_verifies_what_arrives(
    api: Api, site: Site, receiver: Receiver, accessible: list[str], clock: type[Clock]
) -> None:
    client = PublishedClient(api)
    entry = {
        "eventType": TYPES[3].upper(),
        "destinationUrl": f"{receiver.url}/members",
        "filter": "$[?(@.segmentId == 'gold')]",
        "excludedFields": ["metadata"],
        "headers": {"header1": {"value": "value1"}},
    }
    configuration = {
        "destinationUrl": f"{receiver.url}/all",
        "secretKey": SECRET,
        "eventsConfiguration": [entry],
    }
    body = {"code": "http", "active": True, "provider": "HTTP", "configuration": configuration}
    assert client.create_config(body) == {"code": "http"}
    stored = client.read_config("http")
    assert set(stored) == {"code", "provider", "active", "configuration"}
    [read] = stored["configuration"]["eventsConfiguration"]
    assert set(read) <= MEMBERS_OF_ENTRIES
    assert {name: read[name] for name in entry} == entry

    known = {one["event"]["type"]: one for one in client.subscriptions()}
    assert {known[name]["subscription"] for name in TYPES} == {"NONE"}
    assert all(known[name]["metadata"] == {} for name in TYPES)
    changed = client.change_subscriptions([{"eventType": name, "action": "SUBSCRIBE"} for name in TYPES])
    assert changed == [{"eventType": name, "code": 200, "status": "OK"} for name in TYPES]

    CustomerFactory(tenant=site.tenant, external_id="C1", first_name="Ann", email="ann@example.com")
    segments = "/customer-segment/acme/segments"
    body = {"name": {"en": "Größe"}, "siteCode": "main", "status": "ACTIVE"}
    answers = [
        *(api.put(f"{segments}/{name}", body) for name in ("gold", "silver")),
        *(api.put(f"{segments}/{name}/customers/C1", {}) for name in ("gold", "silver")),
        api.send("patch", f"{segments}/gold", {"status": "INACTIVE"}),
        api.send("delete", f"{segments}/gold?forceDelete=true"),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 201, 204, 204]
    drain()
    clock.at = datetime.now(UTC)  # events are due at the time of the database
    dispatcher = Dispatcher()
    while dispatcher.run(clock.at) or dispatcher.in_flight:
        pass

    assert len(receiver.received) == 6
    for request in receiver.received:
        assert request.headers["emporix-event-signature"] == published_rule(request, SECRET)
        sent = Webhook(standard_secret(SECRET)).verify(request.body, request.headers)
        assert set(sent) == {"type", "payload"}
        assert set(sent["payload"]) <= set(known[sent["type"]]["event"]["eventSchema"])
    [member] = receiver.at("/members")  # silver is filtered out
    assert member.headers["header1"] == "value1"
    assert (member.payload["segmentId"], "metadata" in member.payload) == ("gold", False)
    others = [(one.headers["webhook-id"], one.payload) for one in receiver.at("/all")]
    assert len({event_id for event_id, _ in others}) == len(others) == 5
    of_gold = [payload for _, payload in others if "gold" in (payload.get("id"), payload.get("segmentId"))]
    assert [payload.get("previousStatus", "") for payload in of_gold] == ["", "ACTIVE", "", ""]
    assert client.statistics()["monthStatistics"][0]["succesfullySentWebhooks"] == 6
