"""Which events a tenant wants."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from core.errors import DomainError, NotFound, VersionConflict
from core.tenancy.models import Tenant
from events.bodies import SubscriptionChange
from events.event_types import EVENT_TYPES, normalized
from events.feed.reader import start_feed
from events.models import Subscription, SubscriptionState
from events.operations.configuration import lock_tenant

STATES = {"SUBSCRIBE": SubscriptionState.SUBSCRIBED, "UNSUBSCRIBE": SubscriptionState.UNSUBSCRIBED}


class UnknownEventType(NotFound):
    """There are no events of this type."""

    code = "unknown_event_type"


class SubscriptionConflict(VersionConflict):
    """The version is not the latest one."""

    def __init__(self, *, expected: int, stored: int) -> None:
        super().__init__(expected=expected, stored=stored)
        self.message = (
            "Unique constraint violation for provided eventType and metadata version. It is possible to"
            " update an eventsubscription only by always providing the latest version. Fetch the event"
            f" subscriptions to get the latest version. Version {expected} was sent, version {stored} is"
            " stored."
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change of a subscription."""

    event_type: str
    error: DomainError | None = None


def change_subscriptions(
    *, tenant: Tenant, changes: list[SubscriptionChange | DomainError], sent_types: list[str], at: datetime
) -> list[Outcome]:
    """Make each change that can be made, in order, and return what became of each."""
    outcomes = []
    with transaction.atomic():
        lock_tenant(tenant)
        for change, sent_type in zip(changes, sent_types, strict=True):
            try:
                if isinstance(change, DomainError):
                    raise change
                change_subscription(tenant, change, at)
            except DomainError as refused:
                outcomes.append(Outcome(sent_type, refused))
            else:
                outcomes.append(Outcome(sent_type))
    return outcomes


@transaction.atomic
def store_subscription(*, tenant: Tenant, change: SubscriptionChange, at: datetime) -> Subscription:
    """Make one change of a subscription; raises as `change_subscription`."""
    lock_tenant(tenant)
    return change_subscription(tenant, change, at)


def change_subscription(tenant: Tenant, change: SubscriptionChange, at: datetime) -> Subscription:
    """Subscribe, unsubscribe or change which fields are left out.

    Raises UnknownEventType and SubscriptionConflict. Call it with the tenant locked.
    """
    event_type = normalized(change.event_type)
    if event_type not in EVENT_TYPES:
        raise UnknownEventType(
            f"There are no events of the type {change.event_type}. Read the subscriptions for all types."
        )
    subscription = Subscription.objects.filter(tenant=tenant, event_type=event_type).first()
    expected = change.metadata.version if change.metadata else None
    if subscription is None:
        subscription = Subscription(
            tenant=tenant,
            event_type=event_type,
            state=SubscriptionState.UNSUBSCRIBED,
            version=0,
            created_at=at,
        )
    elif expected is not None and expected != subscription.version:
        raise SubscriptionConflict(expected=expected, stored=subscription.version)
    if change.action is not None:
        subscription.state = STATES[change.action]
    left_out = [*subscription.excluded_fields, *change.fields_to_unsubscribe]
    subscription.excluded_fields = [
        name for name in dict.fromkeys(left_out) if name not in change.fields_to_subscribe
    ]
    subscription.version += 1
    subscription.modified_at = at
    subscription.save()
    if subscription.state == SubscriptionState.SUBSCRIBED:
        start_feed(tenant.pk, at=at)
    return subscription
