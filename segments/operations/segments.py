"""Writes of segments. Several segments are always locked and written in the order of their ids."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from accounts.models import Site
from core.errors import MOST_DELETED_ALONG, AlreadyExists, DomainError
from core.sql.upserts import (
    BatchPlan,
    BodyColumns,
    RowResult,
    UpsertTarget,
    insert_rows,
    only_outcome,
    upsert_rows,
)
from core.tenancy.identifiers import generate_id
from segments.bodies import IdentifiedSegmentBody, SegmentBody
from segments.errors import SegmentHasAssignments, SegmentNotFound, SegmentTooLarge, UnknownSite
from segments.models import CustomerAssignment, ItemAssignment, Segment
from segments.tallies import NOTHING, held_by

SEGMENTS = UpsertTarget.of(Segment, "tenant_id", "external_id")
COLUMNS = BodyColumns(Segment, SegmentBody, SEGMENTS.columns, parts=SegmentBody.parts)


@transaction.atomic
def create_segments(
    *, tenant_id: int, rows: Sequence[SegmentBody | DomainError], at: datetime
) -> list[RowResult]:
    """Create segments in bulk and report every row, in order; ids that are taken are refused.

    A refused row spoils no other. The number of statements does not depend on the number of rows.
    """
    plan: BatchPlan[str, SegmentBody] = BatchPlan()
    accepted = plan.accepted(rows)
    sites = site_keys(tenant_id, [row for _, row in accepted])
    outcomes: dict[str, RowResult] = {}
    stored: list[list[object]] = []
    for position, row in accepted:
        segment_id = row.id or generate_id()
        if row.site_code not in sites:
            plan.reject(position, UnknownSite(row.site_code), id=row.id or "")
        elif segment_id in outcomes:
            plan.reject(position, AlreadyExists(resource_id=segment_id), id=segment_id)
        else:
            outcomes[segment_id] = RowResult(position, created=True, id=segment_id)
            stored.append(stored_row(tenant_id, segment_id, row, sites, at))
    inserted = insert_rows(SEGMENTS, stored)
    for segment_id, outcome in outcomes.items():
        if (tenant_id, segment_id) not in inserted:
            outcome.error = AlreadyExists(resource_id=segment_id)
    return sorted([*plan.results, *outcomes.values()], key=lambda outcome: outcome.position)


def create_segment(*, tenant_id: int, row: SegmentBody, at: datetime) -> str:
    """Create one segment and return its id, generated if absent; raise AlreadyExists or UnknownSite."""
    return only_outcome(create_segments(tenant_id=tenant_id, rows=[row], at=at)).id


@transaction.atomic
def upsert_segments(
    *, tenant_id: int, rows: Sequence[IdentifiedSegmentBody | DomainError], at: datetime
) -> list[RowResult]:
    """Create or replace segments in bulk and report every row, in order.

    Rows of the same id act one after the other. A row that expects another version than the stored one is
    refused; locks the segments first when a row expects any. A refused row spoils no other, and the number
    of statements does not depend on the number of rows.
    """
    plan: BatchPlan[str, IdentifiedSegmentBody] = BatchPlan()
    accepted = plan.accepted(rows)
    sites = site_keys(tenant_id, [row for _, row in accepted])
    versions: dict[str, int] = {}
    if any(row.expected_version is not None for _, row in accepted):
        versions = locked_versions(tenant_id, [row.id for _, row in accepted])
    for position, row in accepted:
        if row.site_code not in sites:
            plan.reject(position, UnknownSite(row.site_code), id=row.id)
            continue
        plan.add(
            position,
            row.id,
            row,
            stored_version=versions.get(row.id),
            expected_version=row.expected_version,
            id=row.id,
        )
    written = upsert_rows(
        SEGMENTS,
        (
            (stored_row(tenant_id, segment_id, row, sites, at), plan.writes[segment_id])
            for segment_id, row in plan.rows.items()
        ),
    )
    plan.record({external_id: result for (_, external_id), result in written.items()})
    return plan.results


def upsert_segment(*, tenant_id: int, row: IdentifiedSegmentBody, at: datetime) -> bool:
    """Create or replace one segment; say whether it was created. Raise UnknownSite or VersionConflict."""
    return only_outcome(upsert_segments(tenant_id=tenant_id, rows=[row], at=at)).created


@transaction.atomic
def change_segment(
    *, tenant_id: int, segment_id: str, change: Callable[[Segment], IdentifiedSegmentBody], at: datetime
) -> None:
    """Replace one segment by what `change` makes of the present one, which it gets locked.

    Raises SegmentNotFound, UnknownSite, VersionConflict and whatever `change` raises.
    """
    segment = locked_segment(tenant_id=tenant_id, segment_id=segment_id)
    upsert_segment(tenant_id=tenant_id, row=change(segment), at=at)


def locked_segment(*, tenant_id: int, segment_id: str) -> Segment:
    """Return the segment locked for a change until commit; raise SegmentNotFound."""
    segment = (
        Segment.objects.for_tenant(tenant_id)
        .select_related("site")
        .select_for_update(of=("self",), no_key=True)
        .filter(external_id=segment_id)
        .first()
    )
    if segment is None:
        raise SegmentNotFound(resource_id=segment_id)
    return segment


@transaction.atomic
def delete_segments(
    *, tenant_id: int, segment_ids: Sequence[str | DomainError], forces: bool
) -> list[RowResult]:
    """Delete segments in bulk and report every id, in order; one that does not exist counts as deleted.

    A segment that holds customers or items is refused unless `forces`, which deletes its assignments too,
    up to MOST_DELETED_ALONG of all segments together.
    Locks the segments first, so that no assignment is added to one while it is decided on.
    """
    plan: BatchPlan[str, str] = BatchPlan()
    accepted = plan.accepted(segment_ids)
    keys = dict(
        Segment.objects.for_tenant(tenant_id)
        .filter(external_id__in=[segment_id for _, segment_id in accepted])
        .order_by("external_id")
        .select_for_update(of=("self",))
        .values_list("external_id", "id")
    )
    kept = set() if forces else keys_with_assignments(keys.values())
    too_large = too_large_to_delete(tenant_id, keys) if forces else {}
    kept |= {keys[segment_id] for segment_id in too_large}
    doomed = Segment.objects.for_tenant(tenant_id).filter(id__in=set(keys.values()) - kept)
    doomed._raw_delete(doomed.db)  # the database removes the assignments: see SameTenantReference
    outcomes = [
        RowResult(
            position,
            id=segment_id,
            error=too_large.get(segment_id)
            or (SegmentHasAssignments(segment_id) if keys.get(segment_id) in kept else None),
        )
        for position, segment_id in accepted
    ]
    return sorted([*plan.results, *outcomes], key=lambda outcome: outcome.position)


def delete_segment(*, tenant_id: int, segment_id: str, forces: bool) -> None:
    """Delete one segment, if it exists; raise SegmentHasAssignments."""
    only_outcome(delete_segments(tenant_id=tenant_id, segment_ids=[segment_id], forces=forces))


def keys_with_assignments(keys: Iterable[int]) -> set[int]:
    """Return the keys of those segments that hold customers or items."""
    own = {"tenant_id": OuterRef("tenant_id"), "segment_id": OuterRef("id")}
    assigned = Exists(CustomerAssignment.objects.filter(**own)) | Exists(ItemAssignment.objects.filter(**own))
    return set(Segment.objects.filter(assigned, id__in=list(keys)).values_list("id", flat=True))


def too_large_to_delete(tenant_id: int, keys: Mapping[str, int]) -> dict[str, SegmentTooLarge]:
    """Return why segments cannot be deleted together with what they hold, by id: the first ones have room."""
    held = held_by(tenant_id, keys.values())
    room, refused = MOST_DELETED_ALONG, {}
    for segment_id, key in keys.items():
        own = held.get(key, NOTHING)
        number = own.members + own.items
        if number > room:
            refused[segment_id] = SegmentTooLarge(segment_id, number)
        else:
            room -= number
    return refused


def site_keys(tenant_id: int, rows: Sequence[SegmentBody]) -> dict[str, int]:
    """Return the keys of the sites that the rows name, by code, in one statement."""
    codes = {row.site_code for row in rows}
    if not codes:
        return {}
    return dict(Site.objects.filter(tenant=tenant_id, code__in=codes).values_list("code", "id"))


def locked_versions(tenant_id: int, segment_ids: Sequence[str]) -> dict[str, int]:
    """Lock those of the segments that exist and return their versions, by id, in one statement."""
    return dict(
        Segment.objects.for_tenant(tenant_id)
        .filter(external_id__in=set(segment_ids))
        .order_by("external_id")
        .select_for_update(of=("self",), no_key=True)
        .values_list("external_id", "version")
    )


def stored_row(
    tenant_id: int, segment_id: str, row: SegmentBody, sites: Mapping[str, int], at: datetime
) -> list[object]:
    """Return the values of SEGMENTS' columns."""
    return COLUMNS.values(
        row,
        tenant_id=tenant_id,
        external_id=segment_id,
        site_id=sites[row.site_code],
        created_at=at,
        modified_at=at,
    )
