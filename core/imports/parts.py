"""Imports whose rows come from a page or a request: they are kept in parts, and then applied.

A prepared import has written nothing but its parts. It is applied part by part, each in one transaction:
at once when it is short, else in the background, so that memory does not grow with the number of rows.
"""

import hashlib
import socket
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import islice
from tempfile import TemporaryFile

import orjson
from django.db import transaction
from django.utils.translation import gettext_noop

from core.actors import Actor, ActorType, acting_as, with_source
from core.background.jobs import JobKind, enqueue_job, register_job_kind
from core.background.models import Job
from core.errors import Conflict, DomainError
from core.imports.columns import Given
from core.imports.exporting import stored_document
from core.imports.files import LINES_AT_ONCE
from core.imports.merge import COUNTS, Refusal, Tally
from core.imports.merge_statements import Mode
from core.imports.models import ImportPart, ImportReject, ImportRun, ImportState
from core.imports.rejects import KEPT_REJECTS, kept_reject
from core.imports.removals import (
    REMOVING_MODES,
    RemovalLimit,
    UnreadLines,
    check_removals,
    count_stored,
    read_removal_limit,
)
from core.imports.resources import ImportResource, registered_resources
from core.imports.rows import Record
from core.imports.runner import count_in
from core.imports.runs import hold_replacement
from core.imports.writers import Batch
from core.journal.undo.jobs import actor_of
from core.json_types import JsonMapping
from core.sql.composition import SqlValues
from core.tenancy.models import Tenant

ROWS_OF_PART = 5_000
SHOWN_ROWS = 1_000  # of a kind
NEW, STORED, REFUSED = range(3)
STORED_ALREADY = "already_exists"
JOB = "apply prepared import"

MAX_REMOVED = "maxRemoved"

PreparedRow = tuple[int, JsonMapping] | tuple[int, JsonMapping, str, list[str], list[str]]
"""The line that a row comes from, its body, and of a file its text and the columns given and emptied."""


class NotPrepared(Conflict):
    """The import has been applied already, or was prepared too long ago."""

    code = "import_not_prepared"


class ImportHasEnded(Conflict):
    """Nothing is left of the import that could be cancelled."""

    code = "import_has_ended"


class ImportIsRunByCommand(Conflict):
    """Only the command itself ends the import."""

    code = "import_is_run_by_command"


@dataclass(slots=True)
class Outlook:
    """What a prepared import would do, and the first rows that are new, stored already, or refused."""

    tally: Tally
    new: list[PreparedRow] = field(default_factory=list)
    stored: list[PreparedRow] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


@transaction.atomic
def prepare_import(
    *,
    kind: ImportResource,
    mode: Mode,
    tenant_id: int,
    rows: Iterable[PreparedRow],
    name: str,
    by: str,
) -> ImportRun:
    """Keep the rows as an import that has not begun, taking them part by part."""
    run = ImportRun.objects.create(
        tenant_id=tenant_id,
        kind=kind.name,
        mode=mode,
        state=ImportState.PREPARED,
        started_by=by[:150],
        host=socket.gethostname(),
        file_name=name[:1_000],
        file_digest="",
    )
    digest = hashlib.sha256()
    for part in store_parts(run, rows, size=ROWS_OF_PART):
        content = orjson.dumps(part)
        digest.update(content)
        run.file_size += len(content)
    run.file_digest = digest.hexdigest()
    run.save(update_fields=["file_size", "file_digest"])
    return run


def store_parts(run: ImportRun, rows: Iterable[PreparedRow], *, size: int) -> Iterator[list[PreparedRow]]:
    """Keep the rows in parts of so many; yield each part."""
    remaining = iter(rows)
    for number, part in enumerate(iter(lambda: list(islice(remaining, size)), [])):
        ImportPart.objects.create(run=run, number=number, rows=part, count=len(part))
        yield part


def outlook_of(run: ImportRun, *, at: datetime) -> Outlook:
    """Say what applying the import would do; it locks and writes nothing."""
    outlook = Outlook(Tally())
    kinds = bytearray(sum(run.parts.values_list("count", flat=True)))  # of the rows, in order

    def refuse(number: int, refusal: Refusal) -> None:
        kinds[number] = STORED if refusal.code == STORED_ALREADY else REFUSED
        if kinds[number] == REFUSED and len(outlook.refusals) < SHOWN_ROWS:
            outlook.refusals.append(refusal)

    outlook.tally = _try(run, refuse, at)
    outlook.refusals.sort(key=lambda refusal: refusal.line)
    number = 0
    for part in run.parts.order_by("number").iterator(chunk_size=1):
        of_part = kinds[number : number + part.count]
        number += part.count
        for kind, rows in ((NEW, outlook.new), (STORED, outlook.stored)):
            if len(rows) < SHOWN_ROWS and kind in of_part:
                found = (row for row, its in zip(part.rows, of_part, strict=True) if its == kind)
                rows.extend(islice(found, SHOWN_ROWS - len(rows)))
    return outlook


def _try(run: ImportRun, refuse: Callable[[int, Refusal], None], at: datetime) -> Tally:
    """Do a dry run of all that is left of the import; `refuse` gets the number of a row and what is wrong.

    Raises UnreadableLines.
    """
    lines = array("q")  # by the number of the row, which the engine takes for its line: lines have several
    kind = registered_resources()[run.kind]
    # The connection takes the rows by one COPY, during which it can read nothing: they wait in a file.
    with TemporaryFile() as spool:
        for part in run.parts.order_by("number").iterator(chunk_size=1):
            spool.writelines(orjson.dumps(row) + b"\n" for row in part.rows)
            lines.extend(row[0] for row in part.rows)
        spool.seek(0)
        rows = (orjson.loads(row) for row in spool)
        unread = UnreadLines()
        tally = kind.writer.write(
            _batch(
                run,
                _slices(rows),
                lambda refusal: refuse(refusal.line, replace(refusal, line=lines[refusal.line])),
                lambda number, reason: unread.add(lines[number], reason),
                at,
                dry_run=True,
            )
        )
    _check_keys(run, unread)
    return tally


def apply_import(run: ImportRun, *, by: str, at: datetime) -> Job | None:
    """Apply a prepared import: at once when it is one part, else by the job that is returned.

    Raises NotPrepared when it has been applied.
    """
    with transaction.atomic():
        run = ImportRun.objects.select_for_update().get(pk=run.pk)
        if run.state != ImportState.PREPARED:
            raise NotPrepared("This list has been applied already. Nothing was added a second time.")
        run.state = ImportState.RUNNING
        run.save(update_fields=["state"])
        if run.parts.count() > 1:
            return enqueue_job(
                JOB, tenant_id=run.tenant_id, arguments={"run": run.pk}, requested_by=by, at=at
            )
        with with_source("import", str(run.pk)):
            apply_part(run, at=at)
    return None


@transaction.atomic
def apply_part(run: ImportRun, *, at: datetime) -> bool:
    """Apply the next part of the import and note what came of it; say whether more is left.

    A replacement is one part. Raises TooManyRemovals, and UnreadableLines for a replacement, of which nothing
    is applied then.
    """
    part = run.parts.select_for_update().order_by("number").first()
    tally, refused, unread = Tally(), _Refused(run), UnreadLines()
    if part is not None:
        if run.mode == Mode.REPLACE:
            hold_replacement(run.kind, run.tenant_id)
        elif run.mode == Mode.DELETE and part.number == 0:
            _check_removals(run, _try(run, lambda number, refusal: None, at))
        lines = [row[0] for row in part.rows]
        kind = registered_resources()[run.kind]
        tally = kind.writer.write(
            _batch(
                run,
                _slices(part.rows),
                lambda refusal: refused.add(replace(refusal, line=lines[refusal.line])),
                lambda number, reason: unread.add(lines[number], reason),
                at,
                dry_run=False,
            )
        )
        _check_keys(run, unread)
        if run.mode == Mode.REPLACE:
            _check_removals(run, tally)
        part.delete()
    return _note(run, tally, refused, at)


@transaction.atomic
def try_import(run: ImportRun, *, at: datetime) -> bool:
    """Note what applying the import would do, and drop its rows. Raises what `apply_part` raises."""
    refused = _Refused(run)
    tally = _try(run, lambda number, refusal: refused.add(refusal), at)
    _check_removals(run, tally)
    run.parts.all().delete()
    return _note(run, tally, refused, at)


@transaction.atomic
def cancel_import(run: ImportRun, *, at: datetime) -> ImportRun:
    """Drop what no worker has begun; the part that is being written is finished, and what is written stays.

    It waits for no worker: parts that one holds are left out. Raises ImportHasEnded and ImportIsRunByCommand.
    """
    run = ImportRun.objects.select_for_update().get(pk=run.pk)
    if run.state == ImportState.STOPPED:
        return run
    if run.state not in (ImportState.PREPARED, ImportState.RUNNING):
        raise ImportHasEnded(f"Import {run.pk} has ended already: {run.state}. Undo it to take it back.")
    if run.state == ImportState.RUNNING and not run.parts.exists():
        raise ImportIsRunByCommand(f"Import {run.pk} is run by a command. Stop the command with Ctrl-C.")
    parts = list(run.parts.select_for_update(skip_locked=True).values_list("pk", flat=True))
    if parts:
        run.parts.filter(pk__in=parts).delete()
        run.state, run.finished_at = ImportState.STOPPED, at
        run.save(update_fields=["state", "finished_at"])
    return run


@dataclass(slots=True)
class _Refused:
    """The refused rows that are kept: all of a file, whose size is bounded, else the first ones."""

    run: ImportRun
    rows: list[ImportReject] = field(default_factory=list)

    def add(self, refusal: Refusal) -> None:
        if self.run.mode != Mode.INSERT or self.run.refused + len(self.rows) < KEPT_REJECTS:
            self.rows.append(kept_reject(self.run, refusal))


def _note(run: ImportRun, tally: Tally, refused: _Refused, at: datetime) -> bool:
    """Add to the counts of the import, and end it when nothing is left; say whether more is left."""
    run.refresh_from_db(from_queryset=ImportRun.objects.select_for_update())
    count_in(run, tally)
    ImportReject.objects.bulk_create(refused.rows)
    has_more = run.parts.exists()
    if not has_more and run.state != ImportState.STOPPED:
        run.state, run.finished_at = ImportState.FINISHED, at
    run.save()
    return has_more


def _check_keys(run: ImportRun, unread: UnreadLines) -> None:
    """Raise UnreadableLines when the key of a row cannot be read: it may mean any that would be removed."""
    if run.mode == Mode.REPLACE and unread.count:
        raise unread.error()


def _check_removals(run: ImportRun, tally: Tally) -> None:
    if run.mode in REMOVING_MODES:
        check_removals(
            tally,
            read_removal_limit(run.max_removed) or RemovalLimit(),
            removed_earlier=0,
            noun=registered_resources()[run.kind].noun,
            option=MAX_REMOVED,
        )


def _slices(rows: Iterable[SqlValues]) -> Iterator[list[Record]]:
    remaining = enumerate(rows)
    while some := list(islice(remaining, LINES_AT_ONCE)):
        yield [_record(number, *row) for number, row in some]


def _record(
    number: int,
    line: int,
    body: JsonMapping,
    source: str = "",
    names: Iterable[str] = (),
    emptied: Iterable[str] = (),
) -> Record:
    return Record(number, source, body, given=Given(frozenset(names), tuple(emptied)))


def _batch(
    run: ImportRun,
    slices: Iterator[list[Record]],
    refuse: Callable[[Refusal], None],
    unread: Callable[[int, str], None],
    at: datetime,
    *,
    dry_run: bool,
) -> Batch:
    tenant = Tenant.objects.get(pk=run.tenant_id).record
    kind = registered_resources()[run.kind]
    counts_stored = run.mode in REMOVING_MODES
    return Batch(
        slices=slices,
        header=(),
        tenant=tenant,
        at=at,
        mode=Mode(run.mode),
        dry_run=dry_run,
        size=ROWS_OF_PART,
        refuse=refuse,
        unread=unread,
        count_stored=partial(count_stored, kind.export, tenant) if counts_stored else None,
        stored=partial(stored_document, kind.export, tenant),
    )


def fail_import(run: ImportRun, error: DomainError, *, at: datetime) -> bool:
    """End the import; no row is left. What was written before stays."""
    run.parts.all().delete()
    run.refresh_from_db()
    run.state, run.message, run.finished_at = ImportState.FAILED, error.message, at
    run.save(update_fields=["state", "message", "finished_at"])
    return False


def _run_job(job: Job, at: datetime) -> bool:
    run = ImportRun.objects.get(pk=job.arguments["run"], tenant=job.tenant_id)
    actor = actor_of(job, "import", str(run.pk)) or Actor(
        ActorType.STAFF, job.requested_by, "", "import", str(run.pk)
    )
    try:
        with acting_as(actor), transaction.atomic():
            has_more = try_import(run, at=at) if run.is_dry_run else apply_part(run, at=at)
    except DomainError as refused:
        has_more = fail_import(run, refused, at=at)
    job.progress = {"rows": run.rows, "left": sum(run.parts.values_list("count", flat=True))}
    job.result = {name: getattr(run, name) for name in COUNTS}
    return has_more


register_job_kind(JobKind(JOB, _run_job, gettext_noop("Adding of a list")))
