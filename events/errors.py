"""What can go wrong with webhooks."""

from collections.abc import Sequence

from core.errors import AlreadyExists, Conflict, Gone, InvalidBody, InvalidInput, NotFound


class ConfigNotFound(NotFound):
    """The tenant has no webhook configuration of this code."""

    code = "webhook_config_not_found"

    def __init__(self, code: str) -> None:
        super().__init__(f"There is no webhook configuration {code}. Create one first.", resource_id=code)


class ConfigExists(AlreadyExists):
    """The tenant has a webhook configuration already."""

    code = "webhook_config_exists"


class UnsupportedProvider(InvalidInput):
    """The provider is one that this service does not send through."""

    code = "unsupported_provider"

    def __init__(self, provider: str, *, field: str = "provider") -> None:
        super().__init__(
            f"The provider {provider} is not available: this service delivers webhooks itself."
            " Use the provider HTTP with the code http.",
            field=field,
        )


class ConfigIsActive(InvalidInput):
    """An active configuration is not deleted by accident."""

    code = "webhook_config_active"

    def __init__(self) -> None:
        super().__init__(
            "The configuration is active. Deactivate it first, or send force=true to delete it with its"
            " deliveries.",
            field="force",
        )


class AmbiguousEventType(Conflict):
    """A path names an event type that has several entries."""

    code = "ambiguous_event_type"

    def __init__(self, event_type: str) -> None:
        super().__init__(
            f"There are several entries for {event_type}."
            " Name one by its id: /configuration/http/eventsConfigurationEntry/{entryId}."
        )


class TargetNotAccessible(InvalidBody):
    """A target does not answer HEAD or OPTIONS, or nothing may be sent there."""

    code = "target_not_accessible"


class DeliveryNotFound(NotFound):
    """There is no such delivery."""

    code = "delivery_not_found"


class TargetNotFound(NotFound):
    """There is no such target."""

    code = "target_not_found"


class TooManyDeliveries(InvalidInput):
    """More is to be sent again than one request may queue."""

    code = "too_many_deliveries"


class FeedNotKept(Conflict):
    """The tenant is not subscribed to the events that are asked for, so that none are kept."""

    code = "feed_not_kept"

    def __init__(self, tenant: str, types: Sequence[str]) -> None:
        what = ", ".join(types) if types else "any events"
        super().__init__(
            f"The tenant is not subscribed to {what}, so no feed of them is kept. Subscribe first:"
            f" PATCH /webhook/{tenant}/event-subscriptions."
        )


class CursorGone(Gone):
    """Events behind the cursor are not kept any more."""

    code = "cursor_gone"

    def __init__(self) -> None:
        super().__init__(
            "Events that followed this cursor are not kept any more. Read the present state from the API, and"
            " the feed without after."
        )
