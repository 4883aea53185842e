"""Large parts of a file: staged as a whole, then committed slice by slice, in the order of their keys."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from time import monotonic

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.backends.utils import CursorWrapper

from core.imports.merge import CopiedRows, Merge, Survey, Tally, refused_rows, stage_rows
from core.imports.merge_statements import (
    GIVEN,
    PART,
    RESOLVED,
    SUPERFLUOUS,
    Mode,
    key_reading_statement,
    position_finding_statement,
    removing_statement,
    resolving_statement,
    slicing_statements,
    superfluous_keeping_statement,
    superfluous_slice,
)
from core.imports.models import ImportReject, ImportRun
from core.imports.rows import Record
from core.imports.runner import BATCH_SECONDS, NOT_APPLIED, ImportRunner, rows_at_once
from core.imports.writers import StagedRow, TableWriter

LARGEST_SLICE = 10  # batches
DROP_STAGES = f"DROP TABLE IF EXISTS {GIVEN}, {RESOLVED}, {PART}, {SUPERFLUOUS}"


@dataclass(slots=True)
class SlicingRunner(ImportRunner):
    """An import while it runs, also one of a large file: its parts are committed in slices."""

    def _apply_in_slices(self, slices: Iterable[list[Record]]) -> None:
        """Stage a part of the file and commit it slice by slice, in the order of the keys."""
        order, run = self.order, self.report.run
        writer = order.kind.writer
        assert isinstance(writer, TableWriter)
        assert run is not None
        refusals: list[ImportReject] = []
        batch = self._batch(slices, refuse=self._keeping_refusals(refusals), dry_run=False)
        committed = run.committed_slice or {}
        after = committed.get("key")
        least = size = rows_at_once(order)
        with staged_part(*writer.merge(batch), after=after) as part:
            part.is_upserted = committed.get("upserted", False)
            if order.mode is Mode.REPLACE:
                self._judge_replacement(part, run, refusals)
            elif self._too_many_rejects(part.survey.refused):
                self._refuse_part(part, run, refusals)
            while True:
                began = monotonic()
                limit = self._lock_limit(is_ahead=False)
                with (
                    self._noting_failure(run, refusals),
                    transaction.atomic(),
                    nullcontext() if limit is None else limit.kept(),
                ):
                    if limit is not None:
                        limit.begin()
                    tally = part.write_slice(size)
                    written = self._write_rejects()
                    self._check(tally)
                    ImportReject.objects.bulk_create(refusals)
                    place = {"rows": part.rows, "key": part.last_key, "upserted": part.is_upserted}
                    line = self.last_line if part.is_done else run.committed_line
                    self._note_progress(
                        run, tally, written, line=line, unfinished=None if part.is_done else place
                    )
                refusals.clear()
                self._tell_progress(tally)
                if part.is_done:
                    break
                size = rows_of_next_slice(least, size, monotonic() - began, part.has_changes)

    def _judge_replacement(self, part: "SlicedMerge", run: ImportRun, refusals: list[ImportReject]) -> None:
        """Raise why nothing of the file is applied, if so, before the first slice is written."""
        with self._noting_failure(run, refusals):
            try:
                self._check_refusals(replace(part.outlook, refused=part.survey.refused - run.refused))
                self._check_removals(part.outlook)
            except NOT_APPLIED:
                refused = part.refuse_all()
                self._write_rejects()
                self.report.count(refused)
                raise
        self.removals_are_judged = True

    def _refuse_part(self, part: "SlicedMerge", run: ImportRun, refusals: list[ImportReject]) -> None:
        with self._noting_failure(run, refusals):
            tally = part.refuse_all()
            self._write_rejects()
            self._check(tally)


def rows_of_next_slice(least: int, rows: int, seconds: float, has_changes: bool) -> int:
    """Return how many rows the next slice has, after so many took so many seconds.

    Rows that change are locked until the slice is committed, so that their number stays that of a batch.
    Where rows are only created, a slice has as many as are written in BATCH_SECONDS.
    """
    if has_changes:
        return least
    in_time = int(rows * BATCH_SECONDS / max(seconds, 0.001))
    return min(max(in_time, least), least * LARGEST_SLICE)


@contextmanager
def staged_part(
    merge: Merge, rows: Iterable[StagedRow | CopiedRows], *, after: Sequence[int] | None
) -> Iterator["SlicedMerge"]:
    """Copy the rows and look up what they name, without a lock; each slice is then written by itself.

    So each page of a large index is touched by one slice only, while no lock is held for longer than
    one slice takes. Leaves out rows whose keys come before or are `after` (see SlicedMerge.last_key). The
    last slice drops the temporary tables.
    """
    is_replacement = merge.mode is Mode.REPLACE
    skipped = None if is_replacement or after is None else tuple(after)
    resolving = resolving_statement(merge.kind, merge.mode, is_kept=True, after=skipped)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(DROP_STAGES)  # an import that was interrupted may have left some
            count = stage_rows(cursor, GIVEN, merge.kind.stage, rows, is_kept=True)
            part = SlicedMerge(merge, count, merge.look_up(cursor, resolving), last_key=after)
            if is_replacement:
                part.keep_superfluous_rows(cursor)
        yield part
    except BaseException:
        # The error tells what went wrong; a connection that is lost has no temporary tables.
        with suppress(DatabaseError, InterfaceError), connection.cursor() as cursor:
            cursor.execute(DROP_STAGES)
        raise


@dataclass(slots=True)
class SlicedMerge:
    """Resolved rows in the order of their keys, of which one slice after the other is written.

    Rows that name what does not exist come last. `rows` counts all that were given, `last_key` is the last
    key of the slices that were written. A replacement removes the rows that were superfluous when it began,
    in slices behind all others; `outlook` says how many.
    """

    merge: Merge
    rows: int
    survey: Survey
    position: int = 0
    is_sorted: bool = False
    is_done: bool = False
    last_key: Sequence[int] | None = None
    outlook: Tally = field(default_factory=Tally)
    is_upserted: bool = False
    removed: int = 0

    @property
    def has_changes(self) -> bool:
        """Whether rows that exist are changed, which other writers of the same rows wait for."""
        return self.survey.differing > 0 and self.merge.mode is not Mode.INSERT

    def keep_superfluous_rows(self, cursor: CursorWrapper) -> None:
        """Note which rows a replacement removes in the end, how many these are, and of how many."""
        tally = self.outlook = Tally(rows=self.survey.rows, refused=self.survey.refused)
        cursor.execute(f"ANALYZE {RESOLVED}")  # joined with all that is stored in the scope
        self.merge.count_stored(cursor, tally)
        self.merge.execute(cursor, superfluous_keeping_statement(self.merge.kind))
        cursor.execute(f"SELECT count(*) FROM {SUPERFLUOUS}")
        [tally.removed] = cursor.fetchone()
        tally.gone = tally.removed

    def refuse_all(self) -> Tally:
        """Report the rows that were refused so far, instead of writing any."""
        tally = Tally(rows=self.survey.rows)
        with transaction.atomic(), connection.cursor() as cursor:
            for refusal in refused_rows(cursor):
                self.merge.refuse(refusal)
                tally.count_refusal(refusal)
        return tally

    def write_slice(self, size: int) -> Tally:
        """Write about so many rows, in the transaction of the caller; rows of one key stay together."""
        with connection.cursor() as cursor:
            self.merge.prepare(cursor)
            fits = self.survey.new + self.survey.differing <= size
            if fits and not self.is_sorted and self.merge.mode is not Mode.REPLACE:
                self.is_done = True
                tally = self.merge.apply_resolved(cursor, replace(self.survey))
            else:
                tally = self._write_sorted(cursor, size)
            if self.is_done:
                cursor.execute(DROP_STAGES)
        return tally

    def _write_sorted(self, cursor: CursorWrapper, size: int) -> Tally:
        """Write the next slice in the order of the keys; behind all of them, remove what is superfluous."""
        is_replacement = self.merge.mode is Mode.REPLACE
        sort, take = slicing_statements(self.merge.kind)
        if not self.is_sorted:
            cursor.execute(sort)
            cursor.execute(f"DROP TABLE {RESOLVED}")
            self.is_sorted = True
            if self.is_upserted:
                self.position = self.survey.rows
            elif is_replacement and self.last_key is not None:
                cursor.execute(position_finding_statement(self.merge.kind, self.last_key))
                [found] = cursor.fetchone()
                self.position = self.survey.rows if found is None else found
                self.is_upserted = found is None
        if self.is_upserted:
            begin, self.removed = self.removed, self.removed + size
            self.is_done = self.removed >= self.outlook.removed
            return self._remove_slice(cursor, begin, self.removed)
        end = self.position + size
        cursor.execute(take, {"begin": self.position, "end": end})
        cursor.execute(key_reading_statement(self.merge.kind), {"begin": self.position, "end": end})
        for key in cursor.fetchall():
            self.last_key = list(key)
        self.position = end
        self.is_upserted = end >= self.survey.rows
        self.is_done = self.is_upserted and not self.outlook.removed
        merge = replace(self.merge, mode=Mode.UPSERT) if is_replacement else self.merge
        return merge.apply_resolved(cursor, merge.survey(cursor))

    def _remove_slice(self, cursor: CursorWrapper, begin: int, end: int) -> Tally:
        """Remove a slice of the superfluous rows."""
        merge = self.merge
        merge.execute(cursor, removing_statement(merge.kind, superfluous_slice(merge.kind, begin, end)))
        tally = Tally(removed=cursor.rowcount, gone=cursor.rowcount)
        if merge.changed and tally.removed:
            merge.changed()
        return tally
