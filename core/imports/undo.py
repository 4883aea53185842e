"""Undoes imports of all kinds through the journal, in batches, where nobody has touched the rows since.

The job of an undo says how far it is. A command that works at it holds it; killed, the job is open still, and
a background worker or the command again goes on behind the last committed batch.
"""

from collections.abc import Callable
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_noop

from core.actors import acting_as, current_actor, with_source
from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import OPEN_STATES, Job
from core.background.worker import Due, held, run_slice
from core.errors import Conflict, InvalidInput
from core.imports.models import ImportRun, ImportState
from core.imports.runs import UNDO_IMPORT, UndoIsRunning, held_run, open_undo
from core.journal.past import journal_beginning
from core.journal.undo.changes import Undone
from core.journal.undo.jobs import actor_as_json, actor_of, requested_by
from core.journal.undo.plans import undo_slice_of_source
from core.sql.locks import Lock, try_lock


class NotUndoable(InvalidInput):
    """The journal does not know everything that the import did."""

    code = "not_undoable"


class AlreadyUndone(Conflict):
    """The import has been undone before."""

    code = "already_undone"


class ImportHasNotEnded(Conflict):
    """A worker is still to write rows of the import, or a command is at work on it."""

    code = "import_has_not_ended"


def refuse_undo(run: ImportRun) -> None:
    """Raise AlreadyUndone, ImportHasNotEnded or NotUndoable."""
    if run.is_dry_run:
        raise NotUndoable(f"Import {run.pk} was a dry run, so there is nothing to undo.")
    if run.parts.exists():
        raise not_ended(run)
    if run.state == ImportState.UNDONE:
        raise AlreadyUndone(f"Import {run.pk} has been undone before.")
    if run.started_at < journal_beginning():
        raise NotUndoable(f"Import {run.pk} is older than the history, so it cannot be undone.")


def not_ended(run: ImportRun) -> ImportHasNotEnded:
    return ImportHasNotEnded(f"Import {run.pk} has not ended. Wait for its end or cancel it, then undo it.")


def job_of(run: ImportRun, at: datetime) -> Job:
    """Return the open job that undoes the import, a new one if there is none. Call it in a transaction.

    Raises what `refuse_undo` raises, and ImportHasNotEnded while a command of another session holds the run,
    which is told by the run's lock only: a command that was killed has left it running as well.
    """
    run = ImportRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    refuse_undo(run)
    if job := open_undo(run):
        return job
    if not try_lock(Lock.IMPORT_RUN, run.pk):
        raise not_ended(run)
    return enqueue_job(
        UNDO_IMPORT,
        tenant_id=run.tenant_id,
        arguments={"run": run.pk, "actor": actor_as_json()},
        requested_by=requested_by(),
        at=at,
    )


def last_undo(run: ImportRun) -> Job | None:
    """Return the last job that undoes the import, or did; None when nobody has asked for it."""
    return (
        Job.objects.filter(kind=UNDO_IMPORT, tenant=run.tenant_id, arguments__run=run.pk)
        .order_by("pk")
        .last()
    )


def undo_import(
    *, run: ImportRun, clock: Callable[[], datetime], report: Callable[[Undone], None] = lambda undone: None
) -> Undone:
    """Undo the import batch by batch, each in a transaction of its own; `report` is called after each.

    What an earlier attempt has taken back is counted as well. Raises what `refuse_undo` raises,
    UndoIsRunning, and ImportIsRunning while the import itself is at work.
    """
    with held_run(run):
        with transaction.atomic():
            job = job_of(run, clock())
        with held(Due(clock(), "job", job.pk, job.kind)) as is_held:
            if not is_held:
                raise UndoIsRunning(f"A background worker undoes import {run.pk}: see job {job.pk}.")
            while True:
                job.refresh_from_db()
                if job.state not in OPEN_STATES:
                    return Undone.from_json(job.result)
                with transaction.atomic():
                    run_slice(job, clock())
                report(Undone.from_json(job.result))


def run_undo(job: Job, at: datetime) -> bool:
    """Take one batch back. Rows of the import are found by their source, the latest first."""
    run = ImportRun.objects.select_for_update(of=("self",)).get(pk=job.arguments["run"])
    undone = Undone.from_json(job.result)
    actor = actor_of(job, UNDO_IMPORT, str(run.pk)) or current_actor()
    with acting_as(actor), with_source(UNDO_IMPORT, str(run.pk)):
        below = undo_slice_of_source(
            tenant_id=run.tenant_id,
            source_type="import",
            source_id=str(run.pk),
            below=job.progress.get("below"),
            at=at,
            undone=undone,
        )
    job.progress = {"rows": undone.total, "leftAlone": undone.total_left, "below": below}
    job.result = undone.as_json()
    if below is None:
        run.state, run.undone_at = ImportState.UNDONE, at
        run.save(update_fields=["state", "undone_at"])
    return below is not None


register_job_kind(JobKind(UNDO_IMPORT, run_undo, gettext_noop("Undo of an import")))
