"""Work that is done once, in the background: kinds of job, which apps register, and the queue."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from core.background.models import Job


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job. `run` does one slice, of a few seconds at most, and returns whether more is left.

    A slice runs in one transaction with what it changes in `job.progress` and `job.result`, so that it
    happened with them or not at all. A DomainError ends the job as failed, with the message; any other error
    is tried again with growing delays. `title` is what people call it, in English.
    """

    name: str
    run: Callable[[Job, datetime], bool]
    title: str = ""


_kinds: dict[str, JobKind] = {}


def register_job_kind(kind: JobKind) -> None:
    """Have workers do jobs of this kind from now on."""
    if _kinds.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"There are two kinds of job named {kind.name}.")


def registered_job_kinds() -> dict[str, JobKind]:
    """Return all kinds of job by name."""
    return dict(_kinds)


def enqueue_job(
    kind: str, *, tenant_id: int | None, arguments: Mapping[str, object], requested_by: str, at: datetime
) -> Job:
    """Queue a job; a worker begins it within about a second of the commit of the present transaction."""
    if kind not in _kinds:
        raise ValueError(f"There is no kind of job named {kind}.")
    return Job.objects.create(
        kind=kind,
        tenant_id=tenant_id,
        arguments=dict(arguments),
        requested_by=requested_by[:150],
        due_at=at,
        created_at=at,
    )
