"""What deleting, deactivating, activating or changing segments would do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from accounts.models import Site
from core.json_types import JsonMapping, JsonObject
from core.timestamps import format_time
from segments.counting import Count
from segments.effects.bodies import (
    MOST_SEGMENTS,
    Effects,
    ItemEffect,
    MemberEffect,
    SegmentChange,
    SegmentChangeBody,
)
from segments.effects.dependents import Difference, readable_dependents, registered_dependent
from segments.effects.members import lost_by_members, members_of
from segments.errors import SegmentNotFound, UnknownSite
from segments.models import Segment
from segments.tallies import held_by

INSTANT: Final = timedelta(microseconds=1)  # windows include their ends
FOREVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SegmentState:
    """What decides whether a segment counts, and where. A deleted one counts nowhere (no status)."""

    site_id: int
    status: str
    valid_from: datetime | None
    valid_to: datetime | None

    def place_at(self, at: datetime) -> int | None:
        """Return the key of the site where it counts at the instant; None when it does not count."""
        is_open = (self.valid_from is None or self.valid_from <= at) and (
            self.valid_to is None or at <= self.valid_to
        )
        return self.site_id if self.status == "ACTIVE" and is_open else None

    def boundaries(self) -> list[datetime]:
        """Return the instants at which it begins to count, and ceases to."""
        moments = [] if self.valid_from is None else [self.valid_from]
        if self.valid_to is not None and self.valid_to < FOREVER:
            moments.append(self.valid_to + INSTANT)
        return moments


@dataclass(frozen=True, slots=True)
class ThoughtOf:
    """A change of segments that is only thought of, their versions by their ids, and what differs."""

    change: SegmentChange
    versions: Mapping[str, int]
    keys: Sequence[int]
    difference: Difference
    makes_difference: bool


def change_of(
    *, tenant_id: int, segment_ids: Sequence[str], body: SegmentChangeBody, at: datetime
) -> ThoughtOf:
    """Return at which instant the change of all these segments first differs, and in which.

    Raises SegmentNotFound, and UnknownSite for a new site that does not exist.
    """
    stored = {
        segment.external_id: segment
        for segment in Segment.objects.for_tenant(tenant_id).filter(
            external_id__in=list(segment_ids[:MOST_SEGMENTS])
        )
    }
    for segment_id in segment_ids:
        if segment_id not in stored:
            raise SegmentNotFound(resource_id=segment_id)
    before = {segment.pk: state_of(segment) for segment in stored.values()}
    change = state_change(tenant_id, body)
    after = {key: replace(state, **change) for key, state in before.items()}
    instant = first_difference(before, after, at)
    moment = at if instant is None else instant
    differing = [
        key for key in before if instant and before[key].place_at(moment) != after[key].place_at(moment)
    ]
    return ThoughtOf(
        SegmentChange(body.change),
        {segment_id: segment.version for segment_id, segment in stored.items()},
        list(before),
        Difference(
            tenant_id,
            moment,
            losing=[key for key in differing if before[key].place_at(moment)],
            gaining=[key for key in differing if after[key].place_at(moment)],
        ),
        makes_difference=instant is not None,
    )


def effects_of(
    *,
    tenant_id: int,
    segment_ids: Sequence[str],
    body: SegmentChangeBody,
    at: datetime,
    scopes: Collection[str] | None = None,
) -> Effects:
    """Return what the change of all these segments would do, as `change_of` finds it."""
    thought_of = change_of(tenant_id=tenant_id, segment_ids=segment_ids, body=body, at=at)
    return effects_of_change(thought_of, scopes)


def effects_of_change(thought_of: ThoughtOf, scopes: Collection[str] | None = None) -> Effects:
    """Return what the change would do.

    Takes a bounded number of statements, however many segments, members and items there are.
    """
    difference = thought_of.difference
    tenant_id, moment = difference.tenant_id, difference.at
    held = held_by(tenant_id, thought_of.keys).values()
    losing, losing_all, disappearing, affected = lost_by_members(difference)
    return Effects(
        change=thought_of.change,
        as_of=format_time(moment),
        makes_difference=thought_of.makes_difference,
        versions=dict(thought_of.versions),
        members=MemberEffect(
            total=Count(value=sum(one.members for one in held)),
            # counting them is quicker than finding out what else they have
            losing=losing if losing.exact else members_of(tenant_id, difference.losing, moment),
            keeping_another=Count(value=losing.value - losing_all.value, exact=losing.exact),
            losing_all=losing_all,
            gaining=members_of(tenant_id, difference.gaining, moment),
        ),
        items=ItemEffect(
            products=Count(value=sum(one.products for one in held)),
            categories=Count(value=sum(one.categories for one in held)),
            disappearing_categories=disappearing,
            affected_customers=affected,
        ),
        dependents={each.type: each.effect_of(difference) for each in readable_dependents(scopes)},
    )


def deletion_summary(
    tenant_id: int, segment_ids: Sequence[str], *, at: datetime, scopes: Collection[str]
) -> str:
    """Return in sentences what the deletion of these segments would do."""
    body = SegmentChangeBody(change="DELETE")
    found = effects_of(tenant_id=tenant_id, segment_ids=segment_ids, body=body, at=at, scopes=scopes)
    named = "the segment" if len(segment_ids) == 1 else f"one of the {len(segment_ids)} segments"
    sentences = [
        f"Customers who would lose {named}: {found.members.losing}"
        f" ({found.members.losing_all} of them would see nothing special any more).",
        f"Categories that would disappear: {found.items.disappearing_categories}"
        f" (for {found.items.affected_customers} customers).",
    ]
    sentences += [
        f"{registered_dependent(kind).plural.capitalize()} that would stop working: {effect.stopping}."
        for kind, effect in found.dependents.items()
    ]
    return " ".join(sentences)


def state_of(segment: Segment) -> SegmentState:
    return SegmentState(segment.site_id, segment.status, segment.valid_from, segment.valid_to)


def state_change(tenant_id: int, body: SegmentChangeBody) -> JsonMapping:
    """Return the members of a state that the change replaces."""
    match body.change:
        case SegmentChange.DELETE:
            return {"status": ""}
        case SegmentChange.DEACTIVATE:
            return {"status": "INACTIVE"}
        case SegmentChange.ACTIVATE:
            return {"status": "ACTIVE"}
    change: JsonObject = {} if body.status is None else {"status": body.status}
    if body.validity is not None:
        change["valid_from"] = body.validity.starts_at
        change["valid_to"] = body.validity.ends_at
    if body.site_code is not None:
        site = Site.objects.filter(tenant=tenant_id, code=body.site_code).values_list("id", flat=True).first()
        if site is None:
            raise UnknownSite(body.site_code)
        change["site_id"] = site
    return change


def first_difference(
    before: Mapping[int, SegmentState], after: Mapping[int, SegmentState], at: datetime
) -> datetime | None:
    """Return the first instant from `at` on at which a segment counts elsewhere; None when there is none."""
    moments = {
        moment for states in (before, after) for state in states.values() for moment in state.boundaries()
    }
    for moment in sorted({at, *(moment for moment in moments if moment > at)}):
        if any(before[key].place_at(moment) != after[key].place_at(moment) for key in before):
            return moment
    return None
