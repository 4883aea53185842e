"""An import from its beginning to its end: its row, which one process holds, and how it is stopped."""

import getpass
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from threading import current_thread, main_thread
from typing import Self

import psycopg
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone
from psycopg.errors import QueryCanceled

from core.actors import with_source
from core.background.models import OPEN_STATES, Job
from core.errors import Conflict, DomainError
from core.imports.columns import Column
from core.imports.csv_rows import CsvFile
from core.imports.files import Format, UnreadableFile, UnwritableFile, format_of
from core.imports.json_rows import JsonFile
from core.imports.merge import COUNTS, Tally
from core.imports.merge_statements import Mode
from core.imports.models import ImportRun, ImportState
from core.imports.orders import ImportOrder, Listener
from core.imports.rejects import RejectsFile
from core.imports.resources import ImportResource
from core.imports.runner import NOT_APPLIED, Report
from core.imports.slices import SlicingRunner
from core.sql.locks import Lock
from core.tenancy.limits import require_room
from core.unavailability import CONTENTION, failure_in_words

PATIENCE_SECONDS = 10  # a killed process's last statement may still be at work in the server
CANCEL_SECONDS = 5.0
END_WITH_CLIENT = (
    "SELECT set_config('client_connection_check_interval', '2s', false) WHERE version() ~* 'linux|darwin|bsd'"
)
"""A statement whose client was killed may hold locks: the server ends it, where it can tell."""
HOLD_NEW = (
    "SELECT id, pg_advisory_lock(%s, id::integer) FROM nextval(pg_get_serial_sequence(%s, 'id')) AS new (id)"
)
HOLD = "SELECT pg_try_advisory_lock(%s, %s)"
RELEASE = "SELECT pg_advisory_unlock(%s, %s)"
RECORD_FILES: dict[Format, type[CsvFile] | type[JsonFile]] = {
    Format.CSV: CsvFile,
    Format.JSONL: JsonFile,
    Format.JSON: JsonFile,
}
UNDO_IMPORT = "undo-import"
UNFINISHED = (ImportState.RUNNING, ImportState.STOPPED, ImportState.FAILED)
APPLIED_IN_PARTS = Q(rows__gt=0, committed_line=0, committed_slice__isnull=True, committed_ahead__isnull=True)
"""A run that has counted rows of no line: its rows came in a request, and no command can go on with it."""


class NothingToResume(DomainError):
    """No unfinished import of this very file, kind, mode and tenant is known."""

    code = "nothing_to_resume"


class FileHasChanged(DomainError):
    """An import of a file of this name is unfinished, but the file is no longer the same."""

    code = "file_has_changed"


class ImportIsRunning(Conflict):
    """Another process is at work on the import."""

    code = "import_is_running"


class UndoIsRunning(Conflict):
    """A background worker takes the import back."""

    code = "undo_is_running"


class ImportStopped(DomainError):
    """The operator stopped the import. Batches that were committed before stay."""

    code = "stopped"


class ServerFailed(DomainError):
    """The database server ended the import, or is gone."""

    code = "server_failed"


class SourceAsRejects(UnwritableFile):
    """Refused rows were to be written over the file that they come from."""


class StopRequest:
    """Notices SIGINT and SIGTERM. Raises KeyboardInterrupt where nothing is left half done.

    Python would raise it between any two instructions: within a commit, or within the code that restores the
    state of a connection. While `guarded`, a signal is only noted, and the statement that is running is
    cancelled; the next statement or `check` raises KeyboardInterrupt, once.
    """

    def __init__(self) -> None:
        self.is_made = False
        self.is_pending = False
        self.is_guarded = False
        self.is_cancelling = False

    @contextmanager
    def noticed(self) -> Iterator[Self]:
        """Handle the signals until the end of the block."""
        if current_thread() is not main_thread():  # Python delivers signals only there
            yield self
            return
        before = {number: signal.signal(number, self._notice) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise KeyboardInterrupt only at statements and checks. Signals after the block are ignored."""
        self.is_guarded = self.is_cancelling = True
        try:
            yield
        finally:
            self.is_cancelling = False
            if self._before_statement in connection.execute_wrappers:
                connection.execute_wrappers.remove(self._before_statement)

    def check(self) -> None:
        """Raise KeyboardInterrupt when a signal came."""
        if self.is_pending:
            self.is_pending = False
            raise KeyboardInterrupt

    def _before_statement(self, execute: Callable[..., object], *arguments: object) -> object:
        self.check()
        return execute(*arguments)

    def _notice(self, number: int, frame: object) -> None:
        self.is_made = self.is_pending = True
        if not self.is_guarded:
            self.check()
        elif self.is_cancelling and self._before_statement not in connection.execute_wrappers:
            connection.execute_wrappers.insert(0, self._before_statement)
        server = connection.connection
        if self.is_cancelling and server is not None:
            with suppress(psycopg.Error):  # then the request is noticed when the statement has ended
                server.cancel_safe(timeout=CANCEL_SECONDS)


def run_import(order: ImportOrder, listener: Listener, stop: StopRequest) -> Report:
    """Import the file and say what became of its rows.

    Raises TenantIsFull, and UnreadableFile for a file or header that cannot be read, before anything is
    written; and UnwritableFile, NothingToResume and ImportIsRunning. What ends an import early comes back as
    the report's `error`, beside what had been committed: the run can be resumed then.
    """
    check_rejects_path(order)
    columns = columns_of_file(order.kind, order.mode)
    if order.mode is not Mode.DELETE:
        require_room(order.tenant)
    kind = format_of(order.file, order.format)
    rows = RECORD_FILES[kind](
        order.file,
        kind,
        columns,
        order.kind.writer.plain,
        default_language=order.tenant.default_language,
        options=order.reading,
    )
    report = Report(begin_run(order, listener.waiting), format=kind)
    run = report.run
    if run is not None and order.resumes:
        report.total = counted(run)
    try:
        source = with_source("import", str(run.pk)) if run else nullcontext()
        rejects_file: AbstractContextManager[RejectsFile | None] = nullcontext()
        if order.rejects_path is not None:
            length = run.rejects_size if run else 0
            rejects_file = RejectsFile(order.rejects_path, kind, rows.header, resume_at=length)
        replacing: AbstractContextManager[None] = nullcontext()
        if order.mode is Mode.REPLACE and run is not None:
            replacing = only_replacement(order, listener.waiting, stop)
        with source:
            with rejects_file as rejects, stop.guarded(), replacing:
                SlicingRunner(order, listener, rows, rejects, report, stop.check, report.total.removed).run()
            end_run(run, ImportState.FINISHED)
    except (*NOT_APPLIED, UnreadableFile, UnwritableFile) as error:
        report.error = error
        end_run(run, ImportState.FAILED, error)
    except KeyboardInterrupt:
        note_stop(report)
    except (OperationalError, InterfaceError) as error:
        if stop.is_made and isinstance(error.__cause__, QueryCanceled):
            note_stop(report)
            return report
        report.error = ServerFailed(end_in_words(report, error))
        with suppress(OperationalError, InterfaceError):  # a run that cannot be ended can be resumed as well
            recount(report)
            end_run(run, ImportState.FAILED, error)
    except Exception as error:
        end_run(run, ImportState.FAILED, error)
        raise
    return report


def check_rejects_path(order: ImportOrder) -> None:
    """Raise SourceAsRejects when the rows would be overwritten by those of them that are refused."""
    path, source = order.rejects_path, Path(order.file.name)
    if path is not None and path.exists() and source.exists() and path.samefile(source):
        raise SourceAsRejects(f"{path} is the file that is imported; name another one for refused rows.")


def columns_of_file(kind: ImportResource, mode: Mode) -> tuple[Column, ...]:
    """Return the columns of a file. To remove or to update rows it needs only those that say which ones."""
    is_whole = mode is Mode.INSERT or not kind.is_updated_by_columns
    if is_whole and mode is not Mode.DELETE:
        return kind.columns
    key = kind.export.key
    return tuple(
        replace(column, is_required=column.is_required and column.name.partition(".")[0] in key)
        for column in kind.columns
    )


def begin_run(order: ImportOrder, waiting: Callable[[str], None]) -> ImportRun | None:
    """Return the run of an import, which this process holds: a new one, or the one that is resumed.

    A dry run has none. A new run is held before anybody can see it, so that nobody else resumes it meanwhile.
    Raises what `unfinished_run` raises.
    """
    digest = "" if order.dry_run else order.file.digest()
    with connection.cursor() as cursor:
        cursor.execute(END_WITH_CLIENT)
        if order.dry_run:
            return None
        if order.resumes:
            return unfinished_run(order, digest, waiting)
        cursor.execute(HOLD_NEW, [int(Lock.IMPORT_RUN), ImportRun._meta.db_table])
        key, _ = cursor.fetchone()
    return ImportRun.objects.create(
        id=key,
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


def unfinished_run(order: ImportOrder, digest: str, waiting: Callable[[str], None]) -> ImportRun:
    """Return the last unfinished run of this file by a command, held by this process.

    Raises NothingToResume, FileHasChanged, ImportIsRunning and UndoIsRunning; `waiting` gets a message first
    when another process holds the run.
    """
    runs = ImportRun.objects.filter(
        tenant=order.tenant.id, kind=order.kind.name, mode=order.mode, is_dry_run=False, parts=None
    ).exclude(APPLIED_IN_PARTS)
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
    if run.state not in UNFINISHED:
        release_run(run)
        raise NothingToResume(
            f"There is nothing to resume: import {run.pk} has ended meanwhile ({run.get_state_display()})."
        )
    if undo := open_undo(run):
        release_run(run)
        raise UndoIsRunning(f"A background worker undoes import {run.pk}: see job {undo.pk}.")
    run.state, run.message, run.finished_at = ImportState.RUNNING, "", None
    if run.committed_line == 0 and run.committed_slice is None:
        run.refused, run.refused_by_reason = 0, {}
    run.save(update_fields=["state", "message", "finished_at", "refused", "refused_by_reason"])
    if run.committed_slice is None:
        run.rejects.filter(line__gt=run.committed_line).exclude(
            line__in=run.committed_ahead or ()
        ).delete()  # their batch was not applied: it comes again
    return run


def open_undo(run: ImportRun) -> Job | None:
    """Return the job that is to undo the import, or is at it."""
    jobs = Job.objects.filter(kind=UNDO_IMPORT, arguments__run=run.pk, state__in=OPEN_STATES)
    return jobs.first()


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


@contextmanager
def held_run(run: ImportRun) -> Iterator[None]:
    """Hold the run meanwhile; raise ImportIsRunning when another process holds it."""
    hold_run(run)
    try:
        yield
    finally:
        release_run(run)


def release_run(run: ImportRun) -> None:
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, [int(Lock.IMPORT_RUN), run.pk])


def end_run(run: ImportRun | None, state: ImportState, error: BaseException | None = None) -> None:
    """Note how the run ended, and release it."""
    if run is None:
        return
    run.state = state
    run.finished_at = timezone.now()
    run.message = str(error) if error else ""
    run.save(update_fields=["state", "finished_at", "message"])
    release_run(run)


def counted(run: ImportRun) -> Tally:
    """Return what the run's committed batches came to."""
    counts = {name: getattr(run, name) for name in COUNTS}
    return Tally(**counts, reasons=dict(run.refused_by_reason))


def end_in_words(report: Report, error: Exception) -> str:
    """Return why the database ended the import, and how to go on."""
    if not isinstance(error.__cause__, CONTENTION):
        return f"The database server ended the import: {str(error).strip()}"
    resume = " Batches that were committed stay; --resume goes on behind them." if report.run else ""
    return failure_in_words(error) + resume


def stopped(report: Report) -> ImportStopped:
    if report.run is None:
        return ImportStopped("Stopped. It was a dry run: nothing has changed.")
    return ImportStopped("Stopped. What was committed stays; run the same command with --resume to go on.")


def note_stop(report: Report) -> None:
    report.error = stopped(report)
    recount(report)
    end_run(report.run, ImportState.STOPPED)


def recount(report: Report) -> None:
    """Take the counts from the run: the end may have come behind a commit, before the batch was counted."""
    if report.run is not None:
        report.run.refresh_from_db()
        report.total = counted(report.run)
