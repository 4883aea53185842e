"""Taking chosen assignments and segments away, however many they are."""

from collections.abc import Callable, Mapping
from itertools import groupby

from django.db import transaction
from django.db.models import QuerySet

from segments.models import CustomerAssignment, ItemAssignment, Segment
from segments.operations.segments import too_large_to_delete
from segments.operations.statuses import check_versions


@transaction.atomic
def remove_assignments(*, assignments: QuerySet[CustomerAssignment] | QuerySet[ItemAssignment]) -> int:
    """Delete all the assignments in one statement and return how many they were.

    Locks them first in the order of their keys, as writers of several assignments do.
    """
    model = assignments.model
    item = (
        ("customer_id", "legal_entity_id") if model is CustomerAssignment else ("product_id", "category_id")
    )
    chosen = (
        model._base_manager.filter(pk__in=assignments.order_by().values("pk"))
        .order_by("segment_id", *item)
        .select_for_update(of=("self",))
    )
    doomed = model._base_manager.filter(pk__in=chosen.values("pk"))
    return doomed._raw_delete(doomed.db)


@transaction.atomic
def remove_segments(
    *,
    segments: QuerySet[Segment],
    versions: Mapping[str, int] | None = None,
    before: Callable[[list[int]], None] = lambda keys: None,
) -> int:
    """Delete all the segments with their assignments and return how many they were.

    Locks the segments first, in the order of their ids; `before` is called with their keys then. The
    database removes the assignments. Raises VersionConflict when one has another version than `versions`
    names, by id, and SegmentTooLarge.
    """
    chosen = list(
        Segment.objects.filter(pk__in=segments.order_by().values("pk"))
        .order_by("tenant_id", "external_id")
        .select_for_update(of=("self",))
    )
    check_versions(chosen, versions)
    keys = [segment.pk for segment in chosen]
    for tenant_id, own in groupby(chosen, key=lambda segment: segment.tenant_id):
        refusals = too_large_to_delete(tenant_id, {segment.external_id: segment.pk for segment in own})
        for refusal in refusals.values():
            raise refusal
    before(keys)
    doomed = Segment.objects.filter(pk__in=keys)
    return doomed._raw_delete(doomed.db)
