"""What the journal records of webhooks: who is subscribed to what, and where it is sent."""

from core.journal.declarations import RecordedDocument, leave_out, record
from events.models import Subscription, Target, WebhookConfig

record(
    RecordedDocument(model=WebhookConfig, object="webhook-config", external_id="'http'"),
    RecordedDocument(model=Subscription, object="event-subscription", external_id="it.event_type"),
    RecordedDocument(
        model=Target,
        object="webhook-target",
        derived=("failures", "failing_since", "resume_at", "position", "previous_secret_until"),
        secret=("secret_key", "previous_secret_key", "headers"),
    ),
)
leave_out(
    {
        "events.Event": "follows from other changes",
        "events.Delivery": "follows from events",
        "events.Lane": "is the order in which deliveries are sent",
        "events.FeedPosition": "says how far the journal has been read",
        "events.PurgePosition": "says how far the journal has been read",
        "events.MonthlyCount": "counts deliveries",
    }
)
