from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from core.api.json import json_response
from core.api.parameters import key_in
from core.api.schema import operation
from core.bodies import read_body
from core.representation.representations import SortKey
from core.sql.composition import Sql, equals, sql
from events.api.filters import DeliveryFilters
from events.api.viewsets import COUNT, MANAGE, READ, TEXT, WebhookServiceViewSet
from events.bodies import Replay
from events.errors import DeliveryNotFound
from events.operations.deliveries import find_target, replay_deliveries, retry_delivery, send_test_event
from events.representations import DELIVERY

NEWEST_FIRST = (SortKey(Sql("delivery.id"), "bigint", descending=True, nullable=False),)
QUEUED = {"type": "object", "properties": {"deliveryId": TEXT}, "required": ["deliveryId"]}
REPLAYED = {"type": "object", "properties": {"queued": COUNT}, "required": ["queued"]}


class DeliveryViewSet(WebhookServiceViewSet):
    """What was sent to targets, what waits, and what failed."""

    tag = "Webhook Deliveries"
    resource = DELIVERY

    @operation("GET-webhook-list-deliveries", scopes=READ, filters=DeliveryFilters)
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List deliveries, newest first."""
        filters, _ = self.filter_conditions()
        conditions = [self.tenant_condition(), *filters]
        return self.page_response(DELIVERY, conditions, needs=("event", "target"), order=NEWEST_FIRST)

    @operation("GET-webhook-retrieve-delivery", scopes=READ)
    def retrieve(self, request: Request, tenant: str, delivery_id: str) -> HttpResponse:
        """Read a delivery."""
        return self.document_response(
            DELIVERY,
            [self.tenant_condition(), sql("delivery.id = {id}", id=Sql(str(key_in(delivery_id))))],
            missing=partial(DeliveryNotFound, resource_id=delivery_id),
            needs=("event", "target"),
        )

    @operation("POST-webhook-retry-delivery", scopes=MANAGE, responses={202: QUEUED}, errors=(404,))
    def retry(self, request: Request, tenant: str, delivery_id: str) -> HttpResponse:
        """Send a delivery again, whatever became of it."""
        delivery = retry_delivery(
            tenant_id=self.caller.tenant.id, delivery_id=key_in(delivery_id), at=self.at
        )
        return json_response({"deliveryId": str(delivery.pk)}, 202)

    @operation(
        "POST-webhook-replay-deliveries",
        scopes=MANAGE,
        request=Replay,
        responses={202: REPLAYED},
        errors=(404,),
    )
    def replay(self, request: Request, tenant: str, target_id: str) -> HttpResponse:
        """Send a target once more what happened since an instant.

        Events keep their ids. Also those that it never got are sent, unless `onlyFailed`. At most 100,000.
        """
        body = read_body(Replay, self.sent_body())
        queued = replay_deliveries(
            target=find_target(self.caller.tenant.id, target_id),
            since=body.since,
            until=body.until,
            only_failed=body.only_failed,
            at=self.at,
        )
        return json_response({"queued": queued}, 202)

    @operation("POST-webhook-send-test-event", scopes=MANAGE, responses={202: QUEUED}, errors=(404,))
    def send_test_event(self, request: Request, tenant: str, target_id: str) -> HttpResponse:
        """Send a test event to a target.

        Its type is `webhook.test`. How it went is read as the delivery.
        """
        target = find_target(self.caller.tenant.id, target_id)
        delivery = send_test_event(target=target, at=self.at)
        return json_response({"deliveryId": str(delivery.pk)}, 202)

    def tenant_condition(self) -> Sql:
        return equals("delivery.tenant_id", self.caller.tenant.id)
