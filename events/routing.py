"""Which targets get the events of which types."""

from events.event_types import normalized
from events.models import Subscription, SubscriptionState, Target, WebhookConfig


def subscribed_types(tenant_id: int) -> frozenset[str]:
    """Return the types of events that the tenant is subscribed to."""
    return frozenset(
        Subscription.objects.filter(tenant=tenant_id, state=SubscriptionState.SUBSCRIBED).values_list(
            "event_type", flat=True
        )
    )


def receivers(tenant_id: int) -> dict[str, tuple[int, ...]]:
    """Return the keys of the targets by type of event, for each type that the tenant is subscribed to.

    A type with targets of its own goes to those that are active; any other to the default target. Filters
    and excluded fields count when an event is sent.
    """
    subscribed = subscribed_types(tenant_id)
    if not WebhookConfig.objects.filter(tenant=tenant_id, is_active=True).exists():
        return dict.fromkeys(subscribed, ())
    targets: dict[str, list[int]] = {}
    default: tuple[int, ...] = ()
    default_url = ""
    rows = list(
        Target.objects.filter(tenant=tenant_id).values_list(
            "id", "event_type", "destination_url", "is_active"
        )
    )
    for key, event_type, url, is_active in rows:
        if not event_type:
            default_url = url
            default = (key,) if url and is_active else ()
    for key, event_type, url, is_active in rows:
        if event_type:
            own = targets.setdefault(normalized(event_type), [])
            if is_active and (url or default_url):
                own.append(key)
    return {name: tuple(targets[name]) if name in targets else default for name in subscribed}
