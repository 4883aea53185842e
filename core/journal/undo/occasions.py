"""Taking back all that was changed on one occasion, such as by one request of the admin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from core.actors import acting_as, with_source
from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import Job
from core.journal.models import Change
from core.journal.undo.changes import Undone
from core.journal.undo.jobs import actor_as_json, actor_of, enqueue_undo, requested_by
from core.journal.undo.plans import (
    LARGEST_AT_ONCE,
    LARGEST_STEP,
    plan_undo,
    undo_change,
    undo_slice_of_source,
)

UNDO_OCCASION = "undo-occasion"
MOST_CHANGES = 10_000  # that are looked at to say what an occasion changed


@dataclass(frozen=True, slots=True)
class Occasion:
    """What one request, or another source, changed for a tenant; `tenant_id` None for no tenant's rows."""

    tenant_id: int | None
    source_type: str
    source_id: str
    changes: Sequence[Change]

    @property
    def main(self) -> list[Change]:
        """The changes that followed from no other."""
        return [change for change in self.changes if not change.is_cascade]

    @property
    def rows(self) -> int:
        return sum(change.count for change in self.changes)


def occasion_of_source(source_type: str, source_id: str, *, tenant_id: int | None) -> Occasion:
    """Return what the source changed, of this tenant where one is given; nothing without a source."""
    if not source_type or not source_id:
        return Occasion(tenant_id, source_type, source_id, [])
    rows = Change.objects.filter(source_type=source_type, source_id=source_id)
    if tenant_id is not None:
        rows = rows.filter(tenant=tenant_id)
    changes = list(rows.order_by("-id").defer("keys", "before", "after", "tx")[:MOST_CHANGES])
    owner = changes[0].tenant_id if changes else tenant_id
    return Occasion(owner, source_type, source_id, [one for one in changes if one.tenant_id == owner])


def undo_occasion(occasion: Occasion, *, at: datetime) -> Undone | Job:
    """Take everything back, the latest change first; return the job that does it where it is large.

    Raises NotUndoable when it is a single change that cannot be taken back.
    """
    if len(occasion.main) == 1:
        plan = plan_undo(occasion.main[0].pk, tenant_id=occasion.tenant_id, at=at)
        if plan.is_large:
            return enqueue_undo(plan, at=at)
        with transaction.atomic():
            return undo_change(plan, at=at)
    if occasion.rows > LARGEST_AT_ONCE or len(occasion.main) > LARGEST_STEP:
        return enqueue_job(
            UNDO_OCCASION,
            tenant_id=occasion.tenant_id,
            arguments={"source": [occasion.source_type, occasion.source_id], "actor": actor_as_json()},
            requested_by=requested_by(),
            at=at,
        )
    undone = Undone()
    below: int | None = None
    with with_source("undo", occasion.source_id), transaction.atomic():
        while (below := undo_slice(occasion, below, at, undone)) is not None:
            pass
    return undone


def undo_slice(occasion: Occasion, below: int | None, at: datetime, undone: Undone) -> int | None:
    assert occasion.tenant_id is not None
    return undo_slice_of_source(
        tenant_id=occasion.tenant_id,
        source_type=occasion.source_type,
        source_id=occasion.source_id,
        below=below,
        at=at,
        undone=undone,
    )


def run_undo(job: Job, at: datetime) -> bool:
    """Take one slice back."""
    source_type, source_id = job.arguments["source"]
    undone = Undone.from_json(job.result)
    occasion = Occasion(job.tenant_id, source_type, source_id, ())
    with acting_as(actor_of(job, "undo", source_id)):
        below = undo_slice(occasion, job.progress.get("below"), at, undone)
    job.progress = {"rows": undone.total, "leftAlone": undone.total_left, "below": below}
    job.result = undone.as_json()
    return below is not None


register_job_kind(JobKind(UNDO_OCCASION, run_undo, gettext_noop("Undo of what was done at once")))
