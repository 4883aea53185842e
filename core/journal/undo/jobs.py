"""Taking back in the background: one change that wrote many rows, slice by slice."""

from collections.abc import Callable
from datetime import datetime

from django.utils.translation import gettext_noop

from core.actors import Actor, ActorType, acting_as, current_actor
from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import OPEN_STATES, Job, JobState
from core.background.worker import finish_job
from core.journal.undo.changes import NotUndoable, Undone
from core.journal.undo.plans import UndoPlan, plan_undo
from core.json_types import JsonObject

UNDO_CHANGE = "undo-change"


def enqueue_undo(plan: UndoPlan, *, at: datetime) -> Job:
    """Have a worker take the change back, with the present actor as its actor."""
    return enqueue_job(
        UNDO_CHANGE,
        tenant_id=plan.change.tenant_id,
        arguments={"change": plan.change.id, "actor": actor_as_json()},
        requested_by=requested_by(),
        at=at,
    )


def undo_in_slices(plan: UndoPlan, *, at: datetime, report: Callable[[Job], None]) -> Undone:
    """Take the change back in this process, as a job that workers go on with when it ends.

    Called again, it goes on with the job that is open. Raises NotUndoable when the job fails.
    """
    open_jobs = Job.objects.filter(
        kind=UNDO_CHANGE,
        tenant=plan.change.tenant_id,
        state__in=OPEN_STATES,
        arguments__change=plan.change.id,
    )
    job = finish_job(open_jobs.first() or enqueue_undo(plan, at=at), report)
    if job.state != JobState.DONE:
        raise NotUndoable(job.error)
    return Undone.from_json(job.result)


def actor_as_json() -> list[str]:
    actor = current_actor()
    return [actor.type, actor.id, actor.name] if actor else []


def requested_by() -> str:
    actor = current_actor()
    return f"{actor.type} {actor.name or actor.id}" if actor else ""


def actor_of(job: Job, source_type: str, source_id: str) -> Actor | None:
    """Return who asked for the job, and on what occasion its changes are made."""
    if not job.arguments.get("actor"):
        return None
    kind, name, title = job.arguments["actor"]
    return Actor(ActorType(kind), name, title, source_type, source_id)


def run_undo(job: Job, at: datetime) -> bool:
    """Take one slice back."""
    number: int = job.progress.get("steps", 0)
    undone = Undone.from_json(job.result)
    plan = plan_undo(job.arguments["change"], tenant_id=job.tenant_id, at=job.created_at)
    with acting_as(actor_of(job, "undo", str(plan.change.id))):
        plan.run_step(number, at, undone)
    job.progress = {"steps": number + 1, "ofSteps": plan.steps}
    job.result = undone.as_json()
    return number + 1 < plan.steps


def job_as_json(job: Job) -> JsonObject:
    """Return what clients read of a job that takes something back."""
    return {
        "id": str(job.pk),
        "state": job.state,
        "changeId": job.arguments.get("change"),
        "progress": job.progress,
        "error": job.error,
        **Undone.from_json(job.result).as_json(),
    }


register_job_kind(JobKind(UNDO_CHANGE, run_undo, gettext_noop("Undo of a change")))
