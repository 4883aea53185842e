"""What clients read of deliveries."""

from core.representation.fields import Integer, Text, Time
from core.representation.representations import Representation

DELIVERY = Representation(
    name="WebhookDelivery",
    documented={
        "id": {"description": "The id of the delivery."},
        "eventId": {"description": "The id of the event: the header webhook-id, the same in all attempts."},
        "eventType": {"description": "The type of the event."},
        "occurredAt": {"description": "When it happened."},
        "targetId": {"description": "The id of the target (of the entry in eventsConfiguration)."},
        "state": {
            "enum": ["PENDING", "DELIVERED", "FILTERED", "DROPPED", "FAILED"],
            "description": "FILTERED: the target's filter did not match. DROPPED: the target was switched"
            " off. FAILED: given up.",
        },
        "attempts": {"description": "How often it was sent."},
        "lastAttemptAt": {"description": "When it was sent last."},
        "finishedAt": {"description": "Since when its state is final."},
        "lastStatus": {"description": "The HTTP status that the target answered last."},
        "lastAnswer": {"description": "The beginning of what the target answered last."},
        "lastError": {"description": "Why the last attempt did not succeed."},
    },
    table="events_delivery",
    alias="delivery",
    joins={
        "event": "JOIN events_event AS event ON event.id = delivery.event_id",
        "target": "JOIN events_target AS target ON target.id = delivery.target_id",
    },
    fields={
        "id": Text("delivery.id::text"),
        "eventId": Text("event.external_id", needs=("event",)),
        "eventType": Text("event.type", needs=("event",)),
        "occurredAt": Time("event.occurred_at", needs=("event",)),
        "targetId": Text("target.external_id", needs=("target",)),
        "state": Text("delivery.state"),
        "attempts": Integer("delivery.attempts"),
        "lastAttemptAt": Time("delivery.last_attempt_at"),
        "finishedAt": Time("delivery.finished_at"),
        "lastStatus": Integer("delivery.last_status"),
        "lastAnswer": Text("delivery.last_answer", omit_empty=True),
        "lastError": Text("delivery.last_error", omit_empty=True),
    },
)
