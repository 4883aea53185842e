"""Switching many segments on or off at once."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet

from core.tenancy.documents import check_version
from segments.models import Segment


def check_versions(segments: Iterable[Segment], versions: Mapping[str, int] | None) -> None:
    """Raise VersionConflict for a segment that has another version than named, by id."""
    for segment in segments:
        check_version(segment, (versions or {}).get(segment.external_id))


@transaction.atomic
def set_segment_status(
    *,
    segments: QuerySet[Segment],
    status: str,
    at: datetime,
    versions: Mapping[str, int] | None = None,
) -> int:
    """Give all the segments this status and return how many had another one.

    Locks those in the order of their ids; each of them gets a new version, the others stay as they are.
    Raises VersionConflict when one of them has another version than `versions` names, by id.
    """
    chosen = list(
        Segment.objects.filter(pk__in=segments.order_by().values("pk"))
        .exclude(status=status)
        .order_by("tenant_id", "external_id")
        .select_for_update(of=("self",), no_key=True)
    )
    check_versions(chosen, versions)
    keys = [segment.pk for segment in chosen]
    return Segment.objects.filter(pk__in=keys).update(status=status, version=F("version") + 1, modified_at=at)
