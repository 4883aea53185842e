from django.http import HttpResponse
from rest_framework.request import Request

from core.api.error_bodies import status_of
from core.api.json import json_response
from core.api.parameters import ACCEPT_LANGUAGE
from core.api.schema import operation
from core.bodies import read_bodies
from core.json_types import JsonObject
from core.representation.fields import Languages
from core.timestamps import format_time
from events.api.viewsets import COUNT, MANAGE, READ, TEXT, WebhookServiceViewSet
from events.bodies import SubscriptionChange
from events.event_types import EVENT_TYPES
from events.models import Subscription
from events.operations.subscriptions import Outcome, change_subscriptions

MOST_CHANGES = 200
TEXTS = {"type": "object", "additionalProperties": TEXT}
SUBSCRIPTION = {
    "type": "object",
    "properties": {
        "event": {
            "type": "object",
            "properties": {
                "type": {**TEXT, "description": "The name of the type."},
                "eventSchema": {"type": "object", "description": "The fields of the payload."},
                "name": TEXTS,
                "group": TEXTS,
                "description": TEXTS,
            },
        },
        "metadata": {
            "type": "object",
            "description": "Empty where the tenant never subscribed.",
            "properties": {"version": COUNT, "createdAt": TEXT, "modifiedAt": TEXT},
        },
        "subscription": {"type": "string", "enum": ["SUBSCRIBED", "UNSUBSCRIBED", "NONE"]},
        "excludedFields": {"type": "array", "items": TEXT},
    },
}
RESULT = {
    "type": "object",
    "properties": {"eventType": TEXT, "code": COUNT, "status": TEXT, "message": TEXT},
    "required": ["eventType", "code", "status"],
}


class SubscriptionViewSet(WebhookServiceViewSet):
    """Which events the tenant wants."""

    tag = "Event Subscriptions"

    @operation(
        "GET-webhook-list-all-event-subscriptions",
        scopes=READ,
        parameters=(ACCEPT_LANGUAGE,),
        responses={200: {"type": "array", "items": SUBSCRIPTION}},
    )
    def list_subscriptions(self, request: Request, tenant: str) -> HttpResponse:
        """List all types of events, and which of them the tenant is subscribed to."""
        stored = {one.event_type: one for one in Subscription.objects.filter(tenant=self.caller.tenant.id)}
        languages = self.languages()
        return json_response(
            [subscription_document(name, stored.get(name), languages) for name in EVENT_TYPES]
        )

    @operation(
        "PATCH-webhook-manage-event-subscriptions",
        scopes=MANAGE,
        request=[SubscriptionChange],
        responses={207: {"type": "array", "items": RESULT}},
    )
    def change_subscriptions(self, request: Request, tenant: str) -> HttpResponse:
        """Subscribe to events, and unsubscribe from them.

        Each entry has a result of its own. Fields that are unsubscribed are left out of payloads.
        """
        body = self.sent_list(most=MOST_CHANGES)
        outcomes = change_subscriptions(
            tenant=self.tenant,
            changes=read_bodies(SubscriptionChange, body),
            sent_types=[sent_type(entry) for entry in body],
            at=self.at,
        )
        return json_response([outcome_document(outcome) for outcome in outcomes], 207)


def sent_type(entry: object) -> str:
    """Return the type that an entry names, whatever else it holds."""
    named = entry.get("eventType") if isinstance(entry, dict) else None
    return named[:100] if isinstance(named, str) else ""


def subscription_document(name: str, stored: Subscription | None, languages: Languages) -> JsonObject:
    event_type = EVENT_TYPES[name]
    document: JsonObject = {
        "event": {
            "type": name,
            "eventSchema": event_type.schema,
            "name": in_languages(event_type.title, languages),
            "group": in_languages(event_type.group, languages),
            "description": in_languages(event_type.description, languages),
        },
        "metadata": {},
        "subscription": "NONE",
        "excludedFields": [],
    }
    if stored is not None:
        document["metadata"] = {
            "version": stored.version,
            "createdAt": format_time(stored.created_at),
            "modifiedAt": format_time(stored.modified_at),
        }
        document["subscription"] = stored.state
        document["excludedFields"] = stored.excluded_fields
    return document


def in_languages(texts: dict[str, str], languages: Languages) -> dict[str, str]:
    """Return the texts in the accepted languages, or in another one when there is none."""
    if languages.accepted is None:
        return texts
    wanted = [tag.partition("-")[0].lower() for tag in (*languages.accepted, languages.default)]
    found = {tag: texts[tag] for tag in wanted[:-1] if tag in texts}
    return found or {tag: texts[tag] for tag in wanted[-1:] if tag in texts} or {"en": texts["en"]}


def outcome_document(outcome: Outcome) -> JsonObject:
    if outcome.error is None:
        return {"eventType": outcome.event_type, "code": 200, "status": "OK"}
    status = status_of(outcome.error)
    return {
        "eventType": outcome.event_type,
        "code": status.value,
        "status": status.phrase.upper(),
        "message": outcome.error.message,
    }
