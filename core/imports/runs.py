"""The row of an import: made, found again to be resumed, held by one process, counted in, ended."""

import getpass
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from core.errors import Conflict, DomainError
from core.imports.columns import DEFAULT_OPTIONS, Column, ReadingOptions
from core.imports.files import InputFile
from core.imports.interrupts import StopRequest
from core.imports.merge import COUNTS, Refusal, Tally
from core.imports.merge_statements import Mode
from core.imports.models import ImportReject, ImportRun, ImportState
from core.imports.records import Format
from core.imports.removals import RemovalLimit
from core.imports.resources import ImportResource
from core.sql.lock_limits import LONGEST_LOCK
from core.sql.locks import Lock
from core.tenancy.callers import TenantRecord

WHOLE_FILE = sys.maxsize
PATIENCE_SECONDS = 10  # a killed process's last statement may still be at work in the server
KEPT_REJECTS = 1_000  # of each run; the file of rejects has all of them
KEPT_SOURCE = 2_000  # characters of each kept row
UNKEPT = frozenset({"erased"})  # reasons for which nothing of the row may be kept
HOLD = "SELECT pg_try_advisory_lock(%s, %s)"
RELEASE = "SELECT pg_advisory_unlock(%s, %s)"
UNFINISHED = (ImportState.RUNNING, ImportState.STOPPED, ImportState.FAILED)


class NothingToResume(DomainError):
    """No unfinished import of this very file, kind, mode and tenant is known."""

    code = "nothing_to_resume"


class FileHasChanged(DomainError):
    """An import of a file of this name is unfinished, but the file is no longer the same."""

    code = "file_has_changed"


class ImportIsRunning(Conflict):
    """Another process is at work on the import."""

    code = "import_is_running"


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What an operator wants. `batch_size` None is the kind's own; `max_rejects` None allows any number.

    `longest_lock` is how many seconds a transaction may hold what others write, where it cannot be divided.
    """

    kind: ImportResource
    tenant: TenantRecord
    file: InputFile
    format: Format | None = None
    mode: Mode = Mode.UPSERT
    dry_run: bool = False
    is_atomic: bool = False
    resumes: bool = False
    batch_size: int | None = None
    max_rejects: int | None = None
    longest_lock: float = LONGEST_LOCK
    max_removed: RemovalLimit = RemovalLimit()
    rejects_path: Path | None = None
    reading: ReadingOptions = DEFAULT_OPTIONS

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the file. To remove or to update rows it needs only those that say which ones."""
        is_whole = self.mode is Mode.INSERT or not self.kind.is_updated_by_columns
        if is_whole and self.mode is not Mode.DELETE:
            return self.kind.columns
        key = self.kind.export.key
        return tuple(
            replace(column, is_required=column.is_required and column.name.partition(".")[0] in key)
            for column in self.kind.columns
        )


def begin_run(order: ImportOrder, waiting: Callable[[str], None]) -> ImportRun | None:
    """Return the run of an import, which this process holds: a new one, or the one that is resumed.

    A dry run has none. Raises what `unfinished_run` raises; ImportIsRunning for a new run too, which another
    process may have found and resumed already.
    """
    digest = "" if order.dry_run else order.file.digest()
    with connection.cursor() as cursor:
        # A statement whose client was killed may hold locks: the server ends it, where it can tell.
        cursor.execute("SELECT version() ~* 'linux|darwin|bsd'")
        if cursor.fetchone()[0]:
            cursor.execute("SET client_connection_check_interval = '2s'")
        if order.dry_run:
            return None
        if order.resumes:
            return unfinished_run(order, digest, waiting)
        run = ImportRun.objects.create(
            tenant_id=order.tenant.id,
            kind=order.kind.name,
            mode=order.mode,
            is_atomic=order.is_atomic,
            started_by=getpass.getuser(),
            host=socket.gethostname(),
            file_name=order.file.name[:1_000],
            file_size=order.file.size,
            file_digest=digest,
        )
    hold_run(run, waiting)
    return run


def unfinished_run(order: ImportOrder, digest: str, waiting: Callable[[str], None]) -> ImportRun:
    """Return the last unfinished run of this file, held by this process.

    Raises NothingToResume, FileHasChanged and ImportIsRunning; `waiting` gets a message first when another
    process holds the run.
    """
    runs = ImportRun.objects.filter(tenant=order.tenant.id, kind=order.kind.name, mode=order.mode)
    run = runs.filter(file_digest=digest).first()
    if run is None or run.state not in UNFINISHED:
        namesake = runs.filter(file_name=order.file.name, state__in=UNFINISHED).first()
        if run is None and namesake:
            raise FileHasChanged(
                f"The file has changed since import {namesake.pk} of it; run it without --resume."
            )
        raise NothingToResume(
            "There is nothing to resume: no import of this file, with this mode, into this tenant is"
            " unfinished. Run it without --resume to import it."
        )
    hold_run(run, waiting)
    run.refresh_from_db()  # what the process that held it until now has committed meanwhile
    run.state, run.message, run.finished_at = ImportState.RUNNING, "", None
    if run.committed_line == 0 and run.committed_slice is None:
        run.refused, run.refused_by_reason = 0, {}
    run.save(update_fields=["state", "message", "finished_at", "refused", "refused_by_reason"])
    if run.committed_slice is None:
        run.rejects.filter(line__gt=run.committed_line).exclude(
            line__in=run.committed_ahead or ()
        ).delete()  # their batch was not applied: it comes again
    return run


def hold_run(run: ImportRun, waiting: Callable[[str], None] = lambda message: None) -> None:
    """Hold the run until this process ends; raise ImportIsRunning when another one goes on holding it."""
    with connection.cursor() as cursor:
        for attempt in range(round(PATIENCE_SECONDS * 10)):
            if attempt == 1:
                waiting(f"Waiting: import {run.pk} is at work in another process.")
            cursor.execute(HOLD, [int(Lock.IMPORT_RUN), run.pk])
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.1)")
    raise ImportIsRunning(f"Import {run.pk} is at work in another process.")


def replacement_key(kind: str, tenant_id: int) -> list[int | str]:
    return [int(Lock.REPLACEMENT), f"{kind} {tenant_id}"]


def hold_replacement(kind: str, tenant_id: int) -> None:
    """Wait for other replacements of the tenant's rows, and let them wait until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", replacement_key(kind, tenant_id))


@contextmanager
def only_replacement(order: ImportOrder, waiting: Callable[[str], None], stop: StopRequest) -> Iterator[None]:
    """Let one replacement of a kind of the tenant's rows wait for another: slices of two must not mix."""
    key = replacement_key(order.kind.name, order.tenant.id)
    with connection.cursor() as cursor:
        is_first = True
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", key)
            if cursor.fetchone()[0]:
                break
            if is_first:
                waiting(f"Waiting: another process replaces {order.kind.noun} of {order.tenant.name}.")
                is_first = False
            stop.check()
            cursor.execute("SELECT pg_sleep(0.1)")
    try:
        yield
    finally:
        with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", key)


def release_run(run: ImportRun) -> None:
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, [int(Lock.IMPORT_RUN), run.pk])


def end_run(run: ImportRun | None, state: ImportState, error: BaseException | None = None) -> None:
    if run is None:
        return
    run.state = state
    run.finished_at = timezone.now()
    run.message = str(error) if error else ""
    run.save(update_fields=["state", "finished_at", "message"])
    release_run(run)


def kept_reject(run: ImportRun, refusal: Refusal) -> ImportReject:
    """Return what is kept of a refused row."""
    source = "" if refusal.code in UNKEPT else refusal.source[:KEPT_SOURCE]
    return ImportReject(
        run=run, line=refusal.line, reason=refusal.code, message=refusal.message, source=source
    )


def count_in(run: ImportRun, tally: Tally) -> None:
    """Add a batch to the counts of the run, which the caller saves."""
    for name in COUNTS:
        setattr(run, name, getattr(run, name) + getattr(tally, name))
    for code, count in tally.reasons.items():
        run.refused_by_reason[code] = run.refused_by_reason.get(code, 0) + count


def counted(run: ImportRun) -> Tally:
    """Return what the run's committed batches came to."""
    counts = {name: getattr(run, name) for name in COUNTS}
    return Tally(**counts, reasons=dict(run.refused_by_reason))
