"""Switching many segments on or off at once."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, QuerySet

from segments.models import Segment


@transaction.atomic
def set_segment_status(*, segments: QuerySet[Segment], status: str, at: datetime) -> int:
    """Give all the segments this status and return how many had another one.

    Locks those in the order of their ids; each of them gets a new version, the others stay as they are.
    """
    keys = list(
        Segment.objects.filter(pk__in=segments.order_by().values("pk"))
        .exclude(status=status)
        .order_by("tenant_id", "external_id")
        .select_for_update(of=("self",), no_key=True)
        .values_list("pk", flat=True)
    )
    return Segment.objects.filter(pk__in=keys).update(status=status, version=F("version") + 1, modified_at=at)
