"""What the columns of events hold, and how a customer is erased and exported there."""

from core.personal_data.customers import CustomerTrace, Eraser, register_eraser
from core.personal_data.declarations import ERASE, KEEP, PSEUDONYM, declare, each
from core.sql.composition import Sql, param, sql
from core.sql.fetching import execute
from events.models import (
    Delivery,
    Event,
    FeedPosition,
    Lane,
    MonthlyCount,
    PurgePosition,
    SendingByHand,
    Subscription,
    Target,
    WebhookConfig,
)

SETTING = KEEP("a setting of the shop")
MADE = KEEP("made by the service")

declare(WebhookConfig, {})
declare(FeedPosition, {"began_in": MADE})
declare(PurgePosition, {"began_in": MADE})
declare(Subscription, each(SETTING, "event_type", "state", "excluded_fields"))
declare(
    Target,
    each(
        SETTING,
        *("external_id", "event_type", "name", "destination_url", "secret_key", "previous_secret_key"),
        *("headers", "filter", "excluded_fields", "turned_off_reason"),
    ),
)
declare(
    Event,
    {
        **each(MADE, "external_id", "type", "origin"),
        **each(PSEUDONYM, "order_key", "customer_number"),
        "payload": ERASE,
    },
)
declare(
    Delivery,
    {"order_key": PSEUDONYM, "state": MADE, **each(ERASE, "last_answer", "last_error")},
)
declare(Lane, {"order_key": PSEUDONYM})
declare(MonthlyCount, {"month": MADE})
declare(SendingByHand, {"kind": MADE})


def erase(trace: CustomerTrace) -> dict[str, int]:
    """Empty what targets answered and what went wrong, where it mentions the customer."""
    erased = execute(
        sql(
            "UPDATE events_delivery SET last_answer = '', last_error = ''"
            " WHERE tenant_id = {tenant} AND ({answer} OR {error})",
            tenant=param(trace.tenant_id),
            answer=trace.clearly_mentioned_in(Sql("last_answer")),
            error=trace.clearly_mentioned_in(Sql("last_error")),
        )
    )
    return {"webhookAnswers": erased}


register_eraser(Eraser("webhook answers", erase))
