"""What the journal records of webhooks: who is subscribed to what, and where it is sent."""

from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext

from core.journal.declarations import RecordedDocument, leave_out, record
from core.journal.models import Change
from core.timestamps import local_moment
from events.models import SendingByHand, Subscription, Target, WebhookConfig


def sending_in_words(change: Change) -> str:
    """Say what somebody had sent to a target."""
    sent = change.after or {}
    if sent.get("kind") == SendingByHand.Kind.TEST:
        return gettext("sent a test event")
    since = parse_datetime(sent.get("since") or "")
    if since is None:
        text = ngettext(
            "sent %(count)s delivery again", "sent %(count)s deliveries again", sent.get("count", 0)
        )
        return text % {"count": sent.get("count", 0)}
    text = ngettext(
        "sent %(count)s event since %(since)s again",
        "sent %(count)s events since %(since)s again",
        sent.get("count", 0),
    )
    return text % {
        "count": sent.get("count", 0),
        "since": date_format(local_moment(since), "DATETIME_FORMAT"),
    }


record(
    RecordedDocument(model=WebhookConfig, object="webhook-config", external_id="'http'"),
    RecordedDocument(model=Subscription, object="event-subscription", external_id="it.event_type"),
    RecordedDocument(
        model=Target,
        object="webhook-target",
        derived=("failures", "failing_since", "resume_at", "position", "previous_secret_until"),
        secret=("secret_key", "previous_secret_key", "headers"),
    ),
    RecordedDocument(
        model=SendingByHand,
        object="webhook-sending",
        external_id="(SELECT target.external_id FROM events_target AS target WHERE target.id = it.target_id)",
        owner="it.target_id",
        shown_with="webhook-target",
        permissions=("events.view_target",),
        events=("INSERT",),  # old ones are deleted
        said=sending_in_words,
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
