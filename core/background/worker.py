"""The background worker: it does due tasks and jobs, slice by slice, and shares them with other workers.

A worker holds an advisory lock of its session while it works at something, so that two workers never do the
same. Killed with kill -9, it loses the lock with its session; what it had not committed is rolled back, and
another attempt is made after a short delay.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal

from django.db import Error, connection, reset_queries, transaction
from django.utils import timezone

from core.background.jobs import registered_job_kinds
from core.background.models import OPEN_STATES, Job, JobState, TaskState, Worker
from core.background.tasks import Task, registered_tasks
from core.errors import DomainError
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from core.sql.locks import Lock

PAUSE = 1.0  # seconds between two looks for work
PROMPT_PAUSE = 0.5  # and for prompt tasks
STEP = 0.1  # seconds between two looks at whether to stop
HEARTBEAT = 5.0  # seconds
JOBS_AT_ONCE = 20
# Seconds until another attempt; the last one again and again.
DELAYS = (1, 5, 30, 120, 600)
AFTER_LOSS = timedelta(seconds=30)  # at most, when the database went away: what it interrupts is not to blame
MOST_ATTEMPTS = 6  # at one slice of a job

logger = logging.getLogger(__name__)


class WorkKind(Enum):
    """What a worker does: everything, or only prompt tasks, or all but those."""

    ALL = "all"
    PROMPT = "prompt"
    OTHER = "other"

    def includes(self, task: Task) -> bool:
        return self is WorkKind.ALL or task.is_prompt == (self is WorkKind.PROMPT)


@dataclass(frozen=True, slots=True)
class Due:
    """A task or a job that waits for a worker; of what is shared, several workers do a part at once."""

    at: datetime
    kind: Literal["task", "job"]
    key: int
    name: str
    is_shared: bool = False


@dataclass(slots=True)
class Summary:
    """What a worker did: slices by name of task or job, and how many failed."""

    slices: dict[str, int] = field(default_factory=dict)
    failures: int = 0

    def count(self, name: str) -> None:
        self.slices[name] = self.slices.get(name, 0) + 1


def due_work(at: datetime, *, work: WorkKind = WorkKind.ALL) -> list[Due]:
    """Return the tasks and the first jobs that are due, what has waited longest first."""
    tasks = {name: task for name, task in registered_tasks().items() if work.includes(task)}
    due = []
    for key, name, due_at in TaskState.objects.filter(name__in=tasks, due_at__lte=at).values_list(
        "id", "name", "due_at"
    ):
        since = waiting_since(tasks[name], due_at)
        if since is not None:
            due.append(Due(since, "task", key, name, is_shared=tasks[name].is_prompt))
    if work is WorkKind.PROMPT:
        return sorted(due, key=lambda one: (one.at, one.key))
    jobs = Job.objects.filter(state__in=OPEN_STATES, kind__in=registered_job_kinds(), due_at__lte=at)
    for key, name, due_at in jobs.order_by("due_at", "id").values_list("id", "kind", "due_at")[:JOBS_AT_ONCE]:
        due.append(Due(due_at, "job", key, name))
    return sorted(due, key=lambda one: (one.at, one.kind, one.key))


def waiting_since(task: Task, due_at: datetime) -> datetime | None:
    """Return since when the task has waited, given that its state is due since `due_at`."""
    if task.due_since is None:
        return due_at
    return task.due_since()


def backoff(attempts: int) -> timedelta:
    """Return the delay before another attempt, after so many that did not succeed."""
    return timedelta(seconds=DELAYS[min(attempts, len(DELAYS)) - 1])


def has_lost_database(error: Exception) -> bool:
    """Say whether an error is due to the end of this thread's connection."""
    return isinstance(error, Error) and (connection.connection is None or connection.connection.closed)


class BackgroundWorker:
    """Does what is due, until it is stopped. Only one thread uses it."""

    def __init__(self, kind: WorkKind = WorkKind.ALL, *, only: Container[str] | None = None) -> None:
        """Do work of this kind; with `only`, nothing but tasks and jobs of these names."""
        self.kind = kind
        self.only = only
        self.pause = PROMPT_PAUSE if kind is WorkKind.PROMPT else PAUSE
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.is_stopping = False
        self.summary = Summary()
        self.started_at = timezone.now()
        self.beat_at = -HEARTBEAT
        self.is_database_away = False

    def stop(self) -> None:
        """Return from `run` after the present slice. May be called by a signal handler."""
        self.is_stopping = True

    def run(self) -> None:
        """Work until `stop` is called, whatever fails."""
        self._prepare_until_possible()
        failures = 0
        while not self.is_stopping:
            has_worked = False
            try:
                has_worked = self.work_once()
                failures = 0
                self.is_database_away = False
            except (
                Error
            ) as error:  # the database is away, read-only, or in a state that no slice is to blame for
                self._report_database(error)
                connection.close()
                failures += 1
            if not has_worked:
                self._pause(self.pause if not failures else min(PAUSE * 2**failures, 15.0))
        self._finish_tasks()
        self._leave()

    def run_until_idle(self) -> Summary:
        """Do all that is due, and what that makes due, then return what was done."""
        self.prepare()
        while not self.is_stopping and self.work_once():
            pass
        self._finish_tasks()
        return self.summary

    def prepare(self) -> None:
        """Make the states of tasks that have none yet; they are due at once."""
        TaskState.objects.bulk_create(
            [TaskState(name=name) for name in sorted(registered_tasks())], ignore_conflicts=True
        )

    def work_once(self) -> bool:
        """Do one slice of everything that is due; False when there was nothing to do."""
        reset_queries()  # with DEBUG, Django keeps statements until the end of a request
        self._beat()
        has_worked = False
        for due in due_work(timezone.now(), work=self.kind):
            if self.only is not None and due.name not in self.only:
                continue
            if self.is_stopping:
                break
            with held(due) as is_held:
                if is_held:
                    has_worked = self._do(due) or has_worked
            self._beat()
        return has_worked

    def _do(self, due: Due) -> bool:
        """Do a slice of what this worker holds; False when it is no longer due: another one has done it."""
        return self._do_task(due) if due.kind == "task" else self.do_job(due)

    def _do_task(self, due: Due) -> bool:
        at = timezone.now()
        task = registered_tasks()[due.name]
        state = TaskState.objects.filter(pk=due.key, due_at__lte=at).first()
        if state is None or waiting_since(task, state.due_at) is None:
            return False
        state.failures += 1
        state.started_at = at
        if not task.is_prompt:
            state.due_at = at + backoff(state.failures)  # should this process be killed now
            state.save(update_fields=["failures", "started_at", "due_at"])
        try:
            has_more = task.run(at)
        except Exception as error:  # noqa: BLE001 -- whatever fails in one task, the others go on
            delay = backoff(state.failures)
            if has_lost_database(error):
                delay = min(delay, AFTER_LOSS)
                connection.close()
            self._note_failure(f"Task {due.name}", delay, error)
            TaskState.objects.filter(pk=due.key).update(
                error=in_one_line(error), failures=state.failures, due_at=at + delay
            )
        else:
            state.failures, state.error, state.finished_at = 0, "", timezone.now()
            state.due_at = at if has_more or task.interval is None else at + task.interval
            state.save(update_fields=["failures", "error", "started_at", "finished_at", "due_at"])
            self.summary.count(due.name)
        return True

    def do_job(self, due: Due) -> bool:
        """Do a slice of a job that this worker holds; False when it is not due."""
        at = timezone.now()
        job = Job.objects.filter(pk=due.key, state__in=OPEN_STATES, due_at__lte=at).first()
        if job is None:
            return False
        if job.attempts >= MOST_ATTEMPTS:
            job.error = job.error or "The worker ended each time it tried."
            end_job(job, JobState.FAILED)
            logger.error("%s failed after %d attempts: %s", name_of(job), job.attempts, job.error)
            return True
        job.state = JobState.RUNNING
        job.started_at = job.started_at or at
        job.attempts += 1
        job.due_at = at + backoff(job.attempts)  # should this process be killed now
        job.save(update_fields=["state", "started_at", "attempts", "due_at"])
        try:
            with transaction.atomic():
                run_slice(job, at)
        except DomainError as refused:
            job.refresh_from_db()
            job.error = in_one_line(refused)
            end_job(job, JobState.FAILED)
            self.summary.failures += 1
        except Exception as error:  # noqa: BLE001 -- whatever fails in one job, the others go on
            self._note_failure(name_of(job), backoff(job.attempts), error)
            Job.objects.filter(pk=job.pk).update(error=in_one_line(error))
        else:
            self.summary.count(due.name)
        return True

    def _note_failure(self, what: str, delay: timedelta, error: Exception) -> None:
        self.summary.failures += 1
        seconds = delay.total_seconds()
        logger.error("%s failed and is tried again in %g s: %s", what, seconds, in_one_line(error))
        logger.debug("%s failed here:", what, exc_info=error)

    def _beat(self) -> None:
        """Leave a sign of life for /readyz, not more often than needed."""
        now = time.monotonic()
        if now - self.beat_at < HEARTBEAT or self.kind is WorkKind.PROMPT:  # the other thread does
            return
        Worker.objects.bulk_create(
            [Worker(name=self.name, started_at=self.started_at, seen_at=timezone.now())],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=["started_at", "seen_at"],
        )
        self.beat_at = now

    def _finish_tasks(self) -> None:
        """Let tasks complete what they have left to threads."""
        for task in registered_tasks().values():
            if task.finish is not None and self.kind.includes(task):
                try:
                    task.finish()
                except Error as error:
                    logger.warning("The task %s did not finish: %s", task.name, in_one_line(error))

    def _leave(self) -> None:
        if self.kind is WorkKind.PROMPT:
            return
        try:
            Worker.objects.filter(name=self.name).delete()
        except Error as error:
            logger.warning("The worker ends without signing off: %s", in_one_line(error))

    def _prepare_until_possible(self) -> None:
        while not self.is_stopping:
            try:
                self.prepare()
            except Error as error:
                self._report_database(error)
                connection.close()
                self._pause(PAUSE)
            else:
                self.is_database_away = False
                return

    def _report_database(self, error: Exception) -> None:
        """Write one line, until the database has worked again."""
        if not self.is_database_away and self.kind is not WorkKind.PROMPT:  # the other thread says it
            logger.error("The background worker waits for the database: %s", in_one_line(error))
            self.is_database_away = True

    def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until somebody stops the worker.

        In steps of sleep: a signal handler that sets an Event may wait for a lock of its own thread.
        """
        end = time.monotonic() + seconds
        while not self.is_stopping and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, STEP))


def finish_job(job: Job, report: Callable[[Job], None] = lambda job: None) -> Job:
    """Do the job in this process, and return it when it has ended; `report` gets it after each slice.

    Workers may take slices of it meanwhile, and go on with it when this process ends.
    """
    worker = BackgroundWorker()
    due = Due(job.due_at, "job", job.pk, job.kind)
    while job.state in OPEN_STATES:
        with held(due) as is_held:
            has_worked = is_held and worker.do_job(due)
        job.refresh_from_db()
        report(job)
        if not has_worked:
            time.sleep(STEP)
    return job


def run_slice(job: Job, at: datetime) -> None:
    """Do one slice of the job and store how far it is. Call it in a transaction, while the job is held."""
    has_more = registered_job_kinds()[job.kind].run(job, at)
    job.attempts, job.error, job.due_at = 0, "", at
    if has_more:
        job.save(update_fields=["attempts", "error", "due_at", "progress", "result"])
    else:
        end_job(job, JobState.DONE)


def end_job(job: Job, state: JobState) -> None:
    job.state = state
    job.finished_at = timezone.now()
    job.save(update_fields=["state", "finished_at", "error", "attempts", "progress", "result"])


@contextmanager
def held(due: Due) -> Iterator[bool]:
    """Hold what is due until the end of the block; False when another worker holds it."""
    if due.is_shared:
        yield True
        return
    lock = Lock.BACKGROUND_TASK if due.kind == "task" else Lock.BACKGROUND_JOB
    keys = {"lock": param(int(lock)), "key": param(due.key % 2**31)}
    [[is_held]] = fetch_rows(sql("SELECT pg_try_advisory_lock({lock}, {key})", **keys))
    try:
        yield is_held
    finally:
        if is_held and connection.connection is not None and not connection.needs_rollback:
            fetch_rows(sql("SELECT pg_advisory_unlock({lock}, {key})", **keys))


def name_of(job: Job) -> str:
    """Return what the log calls a job."""
    return f"Job {job.pk} ({job.kind})"


def in_one_line(error: Exception) -> str:
    """Return the kind of error and the first line of its message; PostgreSQL quotes rows in later lines."""
    text = error.message if isinstance(error, DomainError) else f"{type(error).__name__}: {error}"
    return (text.splitlines() or [""])[0][:500]
