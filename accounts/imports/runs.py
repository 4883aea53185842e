"""Runs an import of a file, batch by batch, so that it can be rehearsed, stopped, resumed and undone."""

import getpass
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from django.db import connection, transaction
from django.utils import timezone

from accounts.callers import TenantRecord
from accounts.imports.journal import note_changes
from accounts.imports.kinds import Batch, ImportKind
from accounts.imports.rejects import RejectsFile
from accounts.models import ImportReject, ImportRun, ImportState
from core.errors import Conflict, DomainError
from core.imports.files import InputFile, UnreadableFile
from core.imports.merging import COUNTS, Refusal, Tally
from core.imports.records import Format, Record, format_of, header_of, read_records
from core.imports.statements import Mode
from core.locks import Lock

KEPT_REJECTS = 1_000  # of each run; the file of rejects has all of them
PATIENCE_SECONDS = 10  # a killed process's last statement may still be at work in the server
WHOLE_FILE_MODES = (Mode.REPLACE,)


class NothingToResume(DomainError):
    """No unfinished import of this very file, kind, mode and tenant is known."""

    code = "nothing_to_resume"


class ImportIsRunning(Conflict):
    """Another process is at work on the import."""

    code = "import_is_running"


class TooManyRejects(DomainError):
    """More rows were refused than the operator allows; the batch in which that happened is not applied."""

    code = "too_many_rejects"


class NotAllOrNothing(DomainError):
    """Rows of an import that is all or nothing were refused, so nothing was applied."""

    code = "rows_refused"


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What an operator wants. `batch_size` None is the kind's own; `max_rejects` None allows any number."""

    kind: ImportKind
    tenant: TenantRecord
    file: InputFile
    format: Format | None = None
    mode: Mode = Mode.UPSERT
    is_rehearsal: bool = False
    is_atomic: bool = False
    resumes: bool = False
    batch_size: int | None = None
    max_rejects: int | None = None
    rejects_path: Path | None = None


class Listener(Protocol):
    """Watches an import."""

    def read(self, rows: int) -> None:
        """More rows have been read."""
        ...

    def committed(self, line: int, total: Tally) -> None:
        """A batch is done, up to this line; the total of all batches so far."""
        ...


@dataclass(slots=True)
class Report:
    """What an import came to. `run` is None for a rehearsal, which leaves no trace."""

    run: ImportRun | None
    total: Tally = field(default_factory=Tally)
    error: DomainError | None = None


@dataclass(slots=True)
class ImportAtWork:
    """An import while it runs."""

    order: ImportOrder
    listener: Listener
    format: Format
    header: list[str]
    rejects: RejectsFile
    report: Report
    last_line: int = 0
    untold: int = 0

    def run(self) -> None:
        """Apply the file's rows behind the last committed line, one transaction a batch."""
        records = self._records()
        size = self.order.batch_size or self.order.kind.batch_size
        for first in records:
            if is_whole_file(self.order):
                batch: Iterator[Record] = chain([first], records)
            else:
                batch = chain([first], islice(records, size - 1))
            self._apply(batch)

    def _records(self) -> Iterator[Record]:
        done = self.report.run.committed_line if self.report.run else 0
        kind = self.order.kind
        for record in read_records(self.order.file, self.format, kind.columns, kind.writer.plain):
            if record.line > done:
                self.last_line = record.line
                self.untold += 1
                if self.untold == 1_000:
                    self.listener.read(self.untold)
                    self.untold = 0
                yield record

    def _apply(self, records: Iterator[Record]) -> None:
        refusals: list[ImportReject] = []
        run = self.report.run
        kept = 0 if run is None else max(0, KEPT_REJECTS - run.refused)
        allowed = self.order.max_rejects

        def refuse(refusal: Refusal) -> None:
            self.rejects.add(refusal)
            if len(refusals) < kept:
                refusals.append(
                    ImportReject(
                        run=run,
                        line=refusal.line,
                        reason=refusal.code,
                        message=refusal.message,
                        source=refusal.source,
                    )
                )

        batch = Batch(
            records=records,
            header=self.header,
            tenant=self.order.tenant,
            at=timezone.now(),
            mode=self.order.mode,
            is_rehearsal=self.order.is_rehearsal,
            refuse=refuse,
            written=partial(note_changes, run) if run and self.order.kind.is_undoable else None,
        )
        try:
            with transaction.atomic():
                tally = self.order.kind.writer.write(batch)
                self._check(tally, allowed)
                if run is not None:
                    ImportReject.objects.bulk_create(refusals)
                    self._note_progress(run, tally)
        except NotAllOrNothing:
            # The transaction took what was noted along, and the reasons are what the operator needs.
            ImportReject.objects.bulk_create(refusals)
            if run is not None:
                run.refused, run.refused_by_reason = self.report.total.refused, self.report.total.reasons
                run.save(update_fields=["refused", "refused_by_reason"])
            raise
        self.report.total.add(tally)
        self.listener.read(self.untold)
        self.untold = 0
        self.listener.committed(self.last_line, self.report.total)

    def _check(self, tally: Tally, allowed: int | None) -> None:
        refused = self.report.total.refused + tally.refused
        if self.order.is_atomic and tally.refused and not self.order.is_rehearsal:
            self.report.total.add(Tally(rows=tally.rows, refused=tally.refused, reasons=tally.reasons))
            raise NotAllOrNothing(
                f"{tally.refused:,} rows were refused, so nothing was applied: it is all or nothing."
            )
        if allowed is not None and refused > allowed:
            raise TooManyRejects(
                f"{refused:,} rows were refused and {allowed:,} are allowed:"
                f" the batch up to line {self.last_line:,} was not applied."
            )

    def _note_progress(self, run: ImportRun, tally: Tally) -> None:
        for name in COUNTS:
            setattr(run, name, getattr(run, name) + getattr(tally, name))
        for code, count in tally.reasons.items():
            run.refused_by_reason[code] = run.refused_by_reason.get(code, 0) + count
        run.committed_line = self.last_line
        run.rejects_size = self.rejects.flush()
        run.save()


def is_whole_file(order: ImportOrder) -> bool:
    """Say whether the file is applied at once: all or nothing, a replacement, or a rehearsal."""
    return order.is_atomic or order.is_rehearsal or order.mode in WHOLE_FILE_MODES


def run_import(order: ImportOrder, listener: Listener) -> Report:
    """Import the file and say what became of its rows.

    Raises UnreadableFile for a file or header that cannot be read, before anything is written; and
    NothingToResume and ImportIsRunning. What ends an import early comes back as the report's `error`, beside
    what had been committed; an interrupt leaves the run to be resumed.
    """
    kind = order.format or format_of(order.file)
    header = header_of(order.file, kind)
    next(read_records(order.file, kind, order.kind.columns), None)  # a header that does not fit ends it here
    notice_gone_clients()
    run = None if order.is_rehearsal else unfinished_run(order) if order.resumes else new_run(order)
    report = Report(run, total=counted(run) if run else Tally())
    rejects = RejectsFile(order.rejects_path, kind, header, resume_at=run.rejects_size if run else 0)
    with rejects:
        work = ImportAtWork(order, listener, kind, header, rejects, report)
        try:
            work.run()
        except (TooManyRejects, NotAllOrNothing, UnreadableFile) as error:
            report.error = error
            end_run(run, ImportState.FAILED, error)
        except KeyboardInterrupt:
            end_run(run, ImportState.STOPPED)
            raise
        except Exception as error:
            end_run(run, ImportState.FAILED, error)
            raise
        else:
            end_run(run, ImportState.FINISHED)
    return report


def new_run(order: ImportOrder) -> ImportRun:
    run = ImportRun.objects.create(
        tenant_id=order.tenant.id,
        kind=order.kind.name,
        mode=order.mode,
        is_atomic=order.is_atomic,
        started_by=getpass.getuser(),
        host=socket.gethostname(),
        file_name=order.file.name[:1_000],
        file_size=order.file.size,
        file_digest=order.file.digest(),
    )
    hold_run(run)
    return run


def unfinished_run(order: ImportOrder) -> ImportRun:
    """Return the last unfinished run of this file, held by this process."""
    run = ImportRun.objects.filter(
        tenant=order.tenant.id, kind=order.kind.name, mode=order.mode, file_digest=order.file.digest()
    ).first()
    if run is None or run.state in (ImportState.FINISHED, ImportState.UNDONE):
        raise NothingToResume(
            "There is no unfinished import of this file, with this mode, into this tenant;"
            " run it without --resume."
        )
    hold_run(run)
    run.refresh_from_db()  # what the process that held it until now has committed meanwhile
    run.state, run.message, run.finished_at = ImportState.RUNNING, "", None
    run.save(update_fields=["state", "message", "finished_at"])
    return run


def hold_run(run: ImportRun) -> None:
    """Hold the run until this process ends; raise ImportIsRunning when another one holds it."""
    with connection.cursor() as cursor:
        for _ in range(round(PATIENCE_SECONDS * 10)):
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [int(Lock.IMPORT_RUN), run.pk])
            if cursor.fetchone()[0]:
                return
            cursor.execute("SELECT pg_sleep(0.1)")
    raise ImportIsRunning(f"Import {run.pk} is at work in another process.")


def release_run(run: ImportRun) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [int(Lock.IMPORT_RUN), run.pk])


def notice_gone_clients() -> None:
    """Let the server end a statement whose client was killed, where it can tell; it may hold locks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version() ~* 'linux|darwin|bsd'")
        if cursor.fetchone()[0]:
            cursor.execute("SET client_connection_check_interval = '2s'")


def end_run(run: ImportRun | None, state: ImportState, error: BaseException | None = None) -> None:
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
