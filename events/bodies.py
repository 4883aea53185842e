"""What clients send to the Webhook Service. Fields are named like their columns."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from core.bodies import Body, Instant, Metadata, in_utc

MOST_ENTRIES = 100
MOST_HEADERS = 10
MOST_FIELDS = 100
LONGEST_SECRET = 255
LONGEST_HEADER = 1_000

Url = Annotated[str, Meta(max_length=2_000, description="Where events are sent.")]
Secret = Annotated[
    str,
    Meta(
        max_length=LONGEST_SECRET,
        description="Signs what is sent. It is never read back. Absent: it stays as it is; empty: it goes.",
    ),
]
FieldNames = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]],
    Meta(max_length=MOST_FIELDS, description="Top-level fields that are left out of the payload."),
]


class HeaderValue(Body):
    """The value of a header."""

    value: Annotated[str, Meta(max_length=LONGEST_HEADER, description="What the header says.")] = ""


Headers = Annotated[
    dict[str, HeaderValue],
    Meta(max_length=MOST_HEADERS, description="Headers that requests carry, ten at most."),
]


class EventEntry(Body):
    """Where events of one type are sent. What is absent is taken from the configuration."""

    event_type: Annotated[
        str,
        Meta(
            max_length=100,
            pattern=r"^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+$",
            description="The type of events, in any case.",
        ),
    ]
    id: Annotated[str | None, Meta(description="Given by the service; it says which entry is meant.")] = None
    name: Annotated[str, Meta(max_length=255, description="What staff call it.")] = ""
    destination_url: Url = ""
    secret_key: Secret | None = None
    headers: Headers = {}
    filter: Annotated[
        str, Meta(max_length=1_000, description="A JSONPath predicate over the payload; absent: every event.")
    ] = ""
    excluded_fields: FieldNames | None = None
    is_active: Annotated[bool, Meta(description="Whether events are sent there.")] = msgspec.field(
        name="active", default=True
    )


class HttpConfiguration(Body):
    """Where events are sent and how they are signed, unless an entry for their type says otherwise."""

    destination_url: Url = ""
    secret_key: Secret | None = None
    headers: Headers = {}
    events_configuration: Annotated[
        list[EventEntry],
        Meta(max_length=MOST_ENTRIES, description="Targets of their own for types of events."),
    ] = []


class ConfigUpdate(Body, kw_only=True):
    """A webhook configuration."""

    provider: Annotated[
        Literal["HTTP", "SVIX", "SVIX_SHARED"], Meta(description="HTTP; the others are refused.")
    ]
    is_active: Annotated[bool, Meta(description="Whether events are delivered.")] = msgspec.field(
        name="active", default=True
    )
    configuration: Annotated[
        HttpConfiguration | None, Meta(description="Where events are sent, and how they are signed.")
    ] = None


class ConfigCreation(ConfigUpdate, kw_only=True):
    """A new webhook configuration."""

    code: Annotated[str, Meta(min_length=1, max_length=50, description="The code of the provider: http.")]


class ConfigChange(Body, kw_only=True):
    """One change of a configuration."""

    op: Annotated[Literal["UPSERT", "REMOVE"], Meta(description="What is done there.")]
    path: Annotated[str, Meta(min_length=1, max_length=300, description="What is changed.")]
    value: Annotated[Any, Meta(description="What it becomes.")] = None


class SubscriptionChange(Body, kw_only=True):
    """A change of one subscription."""

    event_type: Annotated[str, Meta(min_length=1, max_length=100, description="The type of events.")]
    action: Annotated[
        Literal["SUBSCRIBE", "UNSUBSCRIBE"] | None, Meta(description="Absent: only the fields change.")
    ] = None
    metadata: Annotated[Metadata | None, Meta(description="The version that was read.")] = None
    fields_to_unsubscribe: FieldNames = []
    fields_to_subscribe: FieldNames = []


class Replay(Body, kw_only=True):
    """Which events are sent to a target once more."""

    since: Annotated[Instant, Meta(description="Events that happened at this instant or later.")]
    until: Annotated[Instant | None, Meta(description="Up to this instant; absent: up to now.")] = None
    only_failed: Annotated[bool, Meta(description="Only those that were given up.")] = False

    def __post_init__(self) -> None:
        self.since, self.until = in_utc(self.since), in_utc(self.until)
