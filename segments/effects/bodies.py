"""Changes that are only thought of, and what they would do, as clients and the admin read it."""

from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from core.bodies import Body, Reference, Validity
from segments.bodies import Status
from segments.counting import Count

MOST_SEGMENTS: Final = 200


class SegmentChange(StrEnum):
    """What may be done to a segment. UPDATE gives it another window, site or status."""

    DELETE = "DELETE"
    DEACTIVATE = "DEACTIVATE"
    ACTIVATE = "ACTIVATE"
    UPDATE = "UPDATE"


class CategoryChange(StrEnum):
    """What may be done to a category."""

    PUBLISH = "PUBLISH"
    UNPUBLISH = "UNPUBLISH"
    MOVE = "MOVE"
    DELETE = "DELETE"


class SegmentChangeBody(Body, kw_only=True):
    """A change of a segment that is only thought of. Absent members stay as they are."""

    change: Annotated[
        Literal["DELETE", "DEACTIVATE", "ACTIVATE", "UPDATE"],
        Meta(description="What would be done. UPDATE takes the new validity, siteCode or status."),
    ]
    validity: Annotated[
        Validity | None, Meta(description="UPDATE only: the new window; an absent end is open.")
    ] = None
    site_code: Annotated[Reference | None, Meta(description="UPDATE only: the new site.")] = None
    status: Annotated[Status | None, Meta(description="UPDATE only: the new status.")] = None

    def __post_init__(self) -> None:
        says_more = (self.validity, self.site_code, self.status) != (None, None, None)
        if says_more != (self.change == SegmentChange.UPDATE):
            raise ValueError(
                "Send validity, siteCode or status together with the change UPDATE, and with no other."
            )


class SegmentsChangeBody(SegmentChangeBody, kw_only=True):
    """A change of several segments that is only thought of."""

    segment_ids: Annotated[
        list[Reference],
        Meta(min_length=1, max_length=MOST_SEGMENTS, description="The ids of the segments; at most 200."),
    ]


class CategoryChangeBody(Body, kw_only=True):
    """A change of a category that is only thought of."""

    category_id: Annotated[Reference, Meta(description="The category's id.")]
    change: Annotated[
        Literal["PUBLISH", "UNPUBLISH", "MOVE", "DELETE"],
        Meta(
            description="What would be done. MOVE takes the parentId; without it the category becomes a root."
        ),
    ]
    parent_id: Annotated[
        Reference | None, Meta(description="MOVE only: the category that it would be put below.")
    ] = None
    with_subcategories: Annotated[
        bool,
        Meta(
            description="DELETE only: all categories below it are deleted too. Otherwise those directly below"
            " it become roots."
        ),
    ] = False

    def __post_init__(self) -> None:
        if self.parent_id is not None and self.change != CategoryChange.MOVE:
            raise ValueError("Send parentId together with the change MOVE only.")
        if self.with_subcategories and self.change != CategoryChange.DELETE:
            raise ValueError("Send withSubcategories together with the change DELETE only.")


class DependentEffect(Body, kw_only=True):
    """What happens to things that depend on segments, such as coupons."""

    stopping: Annotated[Count, Meta(description="How many stop working.")]
    starting: Annotated[Count, Meta(description="How many begin to work.")]
    ids: Annotated[
        list[str],
        Meta(description="Up to 20 of these: codes of coupons, and coupon-campaigns/{id} of campaigns."),
    ]
    used_lately: Annotated[
        Count, Meta(description="How often those that stop working were used in the last 30 days.")
    ]


class MemberEffect(Body, kw_only=True):
    """What happens to customers."""

    total: Annotated[Count, Meta(description="The memberships, whether they count now or not.")]
    losing: Annotated[Count, Meta(description="The customers for whom a segment stops counting.")]
    keeping_another: Annotated[
        Count, Meta(description="Those of them for whom another segment of the same site still counts.")
    ]
    losing_all: Annotated[Count, Meta(description="Those of them who see nothing special any more.")]
    gaining: Annotated[Count, Meta(description="The customers for whom a segment begins to count.")]


class ItemEffect(Body, kw_only=True):
    """What happens to products and categories."""

    products: Annotated[Count, Meta(description="The products that are assigned themselves.")]
    categories: Annotated[Count, Meta(description="The categories that are assigned themselves.")]
    disappearing_categories: Annotated[
        Count, Meta(description="The published categories that disappear for at least one customer.")
    ]
    affected_customers: Annotated[
        Count, Meta(description="The customers for whom at least one category disappears.")
    ]


class Effects(Body, kw_only=True, omit_defaults=True):
    """What a change of segments does, at the first instant at which it makes a difference."""

    change: Annotated[str, Meta(description="What would be done.")]
    as_of: Annotated[
        str,
        Meta(
            extra_json_schema={"format": "date-time"},
            description="The instant that is looked at: now, or the first later one at which the change"
            " makes a difference.",
        ),
    ]
    makes_difference: Annotated[
        bool, Meta(description="Whether shoppers ever notice the change, if nothing else changes.")
    ]
    versions: Annotated[
        dict[str, int],
        Meta(description="The segments' versions that were looked at; send them back with the change."),
    ]
    members: Annotated[MemberEffect, Meta(description="What happens to customers.")]
    items: Annotated[ItemEffect, Meta(description="What happens to products and categories.")]
    dependents: Annotated[
        dict[str, DependentEffect],
        Meta(description="What happens to what depends on it, by type; only what the caller may read."),
    ] = msgspec.field(default_factory=dict)


class CategoryEffects(Body, kw_only=True, omit_defaults=True):
    """What a change of a category does, now."""

    change: Annotated[str, Meta(description="What would be done.")]
    as_of: Annotated[
        str, Meta(extra_json_schema={"format": "date-time"}, description="The instant that is looked at.")
    ]
    version: Annotated[
        int, Meta(description="The category's version that was looked at; send it back with the change.")
    ]
    categories: Annotated[Count, Meta(description="The category and those below it.")]
    hiding: Annotated[Count, Meta(description="The categories that shoppers no longer see.")]
    showing: Annotated[Count, Meta(description="The categories that shoppers begin to see.")]
    products: Annotated[Count, Meta(description="The products in categories that are hidden or shown.")]
    losing_segments: Annotated[
        list[str], Meta(description="Effective segments that lose one of the categories, up to 200.")
    ]
    gaining_segments: Annotated[
        list[str], Meta(description="Effective segments that gain one of the categories, up to 200.")
    ]
    losing_members: Annotated[Count, Meta(description="The customers of the segments that lose one.")]
    gaining_members: Annotated[Count, Meta(description="The customers of the segments that gain one.")]
    dependents: Annotated[
        dict[str, DependentEffect],
        Meta(description="What happens to what depends on it, by type; only what the caller may read."),
    ] = msgspec.field(default_factory=dict)
