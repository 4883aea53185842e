"""Applies a file batch by batch, so that the import can be stopped, resumed and undone, and has a dry run."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import chain
from time import monotonic

from django.db import transaction
from django.utils import timezone

from core.errors import DomainError
from core.imports.exporting import stored_document
from core.imports.files import Format
from core.imports.handovers import lines_to_apply_together
from core.imports.merge import COUNTS, Refusal, Tally
from core.imports.merge_statements import Mode
from core.imports.models import ImportReject, ImportRun
from core.imports.orders import ImportOrder, Listener
from core.imports.rejects import (
    KEPT_REJECTS,
    NotAllOrNothing,
    RejectsFile,
    TooManyRejects,
    kept_reject,
)
from core.imports.removals import (
    REMOVING_MODES,
    TooManyRemovals,
    UnreadableLines,
    UnreadLines,
    check_removals,
    count_stored,
)
from core.imports.rows import Record, RecordFile
from core.imports.writers import DELETIONS_AT_ONCE, Batch, TableWriter, refusal_of
from core.json_types import JsonObject
from core.sql.lock_limits import LockedForTooLong, LockLimit

WHOLE_FILE = sys.maxsize
SHOWN_REFUSALS = 5
SLICED_MODES = (Mode.UPSERT, Mode.INSERT)
BATCH_SECONDS = 2.0  # less than a write waits for a lock; a batch holds its locks for a part of that
FIRST_DELETIONS = 100  # rows of the first batch, where what is deleted along with a row may be much


NOT_APPLIED = (TooManyRejects, NotAllOrNothing, UnreadableLines, TooManyRemovals, LockedForTooLong)
"""Why a batch is taken back."""


@dataclass(slots=True)
class Report:
    """What an import came to. `run` is None for a dry run, which leaves no trace."""

    run: ImportRun | None
    total: Tally = field(default_factory=Tally)
    unread: UnreadLines = field(default_factory=UnreadLines)
    error: DomainError | None = None
    first_refusals: list[Refusal] = field(default_factory=list)
    started_at: datetime = field(default_factory=timezone.now)
    format: Format = Format.CSV

    def count(self, tally: Tally) -> None:
        """Count a batch in."""
        total = self.total
        for name in COUNTS:
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        for code, count in tally.reasons.items():
            total.reasons[code] = total.reasons.get(code, 0) + count
        for name, count in tally.emptied.items():
            total.emptied[name] = total.emptied.get(name, 0) + count


@dataclass(slots=True)
class ImportRunner(ABC):
    """An import while it runs."""

    order: ImportOrder
    listener: Listener
    rows: RecordFile
    rejects: RejectsFile | None
    report: Report
    check_stop: Callable[[], None]
    removed_earlier: int
    removals_are_judged: bool = False
    last_line: int = 0
    untold: int = 0
    ahead: frozenset[int] = frozenset()
    reading: Generator[list[Record]] | None = None
    waiting: list[Record] = field(default_factory=list)

    def run(self) -> None:
        """Apply the file's rows behind the last committed line, one transaction a batch."""
        if self.order.mode is Mode.DELETE:
            rows = self._require_readable_file()
            if rows > self._rows_of_first_batch and not is_whole_file(self.order):
                self._require_few_removals()
        if self.order.is_atomic and not self.order.dry_run:
            self._warn_of_locks()
        self.ahead = self._lines_ahead()
        if self.ahead and not is_whole_file(self.order):
            self._apply_ahead()
        size, staged = self._rows_of_first_batch, part_size(self.order)
        if is_whole_file(self.order):
            self._apply_whole_file()
        while self._has_rows():
            if staged and self._needs_slices():
                self._apply_in_slices(self._next_rows(self._rows_of_part(staged)))
            else:
                began = monotonic()
                self._apply(self._next_rows(size))
                if self._deletes_along:
                    size = rows_of_next_deletion(self.order, size, monotonic() - began)
        if self.report.unread.count and self.order.mode in REMOVING_MODES:
            raise self.report.unread.error()  # the header was cut off, so there was nothing to apply

    @property
    def _deletes_along(self) -> bool:
        """Whether nobody knows how much a row holds that is deleted along with it."""
        return self.order.mode is Mode.DELETE and self.order.kind.writer.remove is not None

    @property
    def _rows_of_first_batch(self) -> int:
        size = rows_at_once(self.order)
        return min(size, FIRST_DELETIONS) if self._deletes_along else size

    def _warn_of_locks(self) -> None:
        """Say how long others may wait for rows that one transaction of the whole file locks."""
        rows = sum(map(len, self.rows.slices()))
        seconds = rows / self.order.kind.batch_size * BATCH_SECONDS
        if rows > self.order.kind.batch_size:
            self.listener.waiting(
                f"All or nothing: {rows:,} rows are one transaction. Whoever writes to the same rows"
                f" meanwhile may wait for about {seconds:,.0f} s, and is refused after the lock timeout."
                f" After {self.order.longest_lock:g} s (--longest-lock) nothing is applied."
            )

    def _lines_ahead(self) -> frozenset[int]:
        """Return the lines that are applied before all others, together: unique values change hands there."""
        order, run = self.order, self.report.run
        if run is not None and run.committed_ahead is not None:
            return frozenset(run.committed_ahead)
        is_one_batch = is_whole_file(order) and isinstance(order.kind.writer, TableWriter)
        if order.kind.unique is None or order.mode is not Mode.UPSERT or is_one_batch:
            return frozenset()
        if run is not None and run.committed_line:
            return frozenset()
        lines = lines_to_apply_together(
            self.rows, order.kind.unique, tenant_id=order.tenant.id, rows_at_once=rows_of_part(order)
        )
        return frozenset(lines)

    def _rows_ahead(self) -> Iterator[list[Record]]:
        for rows in self.rows.slices():
            yield [record for record in rows if record.line in self.ahead]

    def _apply_whole_file(self) -> None:
        """Apply all rows at once, first those that belong together."""
        if self.ahead:
            self._apply(chain(self._rows_ahead(), self._next_rows(WHOLE_FILE)))
        elif self._has_rows():
            self._apply(self._next_rows(WHOLE_FILE))

    def _apply_ahead(self) -> None:
        run = self.report.run
        if run is not None and run.committed_ahead is None:
            run.committed_ahead = sorted(self.ahead)
            self._apply(self._rows_ahead(), is_ahead=True)

    def _has_rows(self) -> bool:
        """Say whether rows are left to be applied; read on until some are waiting."""
        reading = self.reading = self.reading or self.rows.slices()
        while not self.waiting and self.rows.has_more:
            if self.untold:
                self.check_stop()
                self.listener.read(self.untold)
                self.untold = 0
            rows = next(reading)
            if not self.rows.has_more:
                reading.close()
            self.waiting = self._still_to_apply(rows)
        if self._is_at_end():
            self._notice_unended_line()
        return bool(self.waiting)

    def _needs_slices(self) -> bool:
        """Say whether rows are left beyond what was read and one batch, or a part to be replaced or begun."""
        run, order = self.report.run, self.order
        is_begun = run is not None and run.committed_slice is not None
        return is_begun or order.mode is Mode.REPLACE or not self._is_last_slice(rows_at_once(order))

    def _still_to_apply(self, rows: list[Record]) -> list[Record]:
        """Return the rows that were not committed before the import was resumed, or ahead of the others."""
        done = self.report.run.committed_line if self.report.run else 0
        if not done and not self.ahead:
            return rows
        self.check_stop()  # much may be skipped before the next statement
        return [record for record in rows if record.line > done and record.line not in self.ahead]

    def _next_rows(self, most: int) -> Iterable[list[Record]]:
        """Return the next rows of the file in slices, so many rows at most; read on as they are taken."""
        if self._is_last_slice(most):
            return [self._taken(most)]
        return self._slices(most)

    def _slices(self, most: int) -> Iterator[list[Record]]:
        while most and self._has_rows():
            rows = self._taken(most)
            most -= len(rows)
            yield rows

    def _taken(self, most: int) -> list[Record]:
        """Return rows that are waiting, which count as read now."""
        rows, self.waiting = self.waiting[:most], self.waiting[most:]
        self.untold += len(rows)
        self.last_line = rows[-1].line
        for record in rows:
            if record.error is not None:
                self.report.unread.add(record.line, record.error.message)
        if self._is_at_end():
            self._notice_unended_line()
        return rows

    def _is_last_slice(self, most: int) -> bool:
        """Say whether so many rows are all that is left, and have been read."""
        is_read = self.reading is not None and not self.rows.has_more
        return is_read and 0 < len(self.waiting) <= most

    def _is_at_end(self) -> bool:
        return self.reading is not None and not self.rows.has_more and not self.waiting

    def _notice_unended_line(self) -> None:
        if self.order.mode in REMOVING_MODES:
            self.report.unread.add_cut_off(self.order.file)

    def _require_readable_file(self) -> int:
        """Raise UnreadableLines when any line cannot be read, before the first batch; return the rows."""
        refusals: list[ImportReject] = []
        refuse = self._keeping_refusals(refusals)
        tally = Tally()
        for record in self.rows:
            tally.rows += 1
            if record.error is not None:
                self.report.unread.add(record.line, record.error.message)
                refusal = refusal_of(record, record.error)
                refuse(refusal)
                tally.count_refusal(refusal)
        self._notice_unended_line()
        if self.report.unread.count:
            self._write_rejects()
            self.report.count(tally)
            if self.report.run is not None:
                self._note_failure(self.report.run, refusals)
            raise self.report.unread.error()
        return tally.rows

    def _require_few_removals(self) -> None:
        """Raise TooManyRemovals when all batches together would remove too much, before the first one.

        Does a dry run of the whole file, which locks nothing, also when some of it was removed before.
        """
        if not self.order.max_removed.allows_everything:
            batch = self._batch(self.rows.slices(), refuse=lambda refusal: None, dry_run=True)
            tally = self.order.kind.writer.write(batch)
            try:
                self._check_removals(tally)
            except TooManyRemovals:
                self.report.total.rows += tally.rows
                raise
        self.removals_are_judged = True

    def _check_removals(self, tally: Tally) -> None:
        check_removals(
            tally,
            self.order.max_removed,
            removed_earlier=self.removed_earlier,
            noun=self.order.kind.noun,
        )

    def _keeping_refusals(self, refusals: list[ImportReject]) -> Callable[[Refusal], None]:
        """Return what takes a refused row: all go to the file of rejects, the first ones to `refusals`."""
        run = self.report.run
        kept = 0 if run is None else max(0, KEPT_REJECTS - run.refused)

        def refuse(refusal: Refusal) -> None:
            if self.rejects is not None:
                self.rejects.add(refusal)
            if len(self.report.first_refusals) < SHOWN_REFUSALS:
                self.report.first_refusals.append(refusal)
            if len(refusals) < kept:
                assert run is not None
                refusals.append(kept_reject(run, refusal))

        return refuse

    def _write_rejects(self) -> int:
        """Write the refused rows to their file; return its length.

        Without one it is the length that the run has noted: who resumes it later may name the file again.
        """
        if self.rejects is not None:
            return self.rejects.flush()
        return self.report.run.rejects_size if self.report.run is not None else 0

    def _batch(
        self, slices: Iterable[list[Record]], *, refuse: Callable[[Refusal], None], dry_run: bool
    ) -> Batch:
        order = self.order
        counts_stored = order.mode in REMOVING_MODES and not self.removals_are_judged
        return Batch(
            slices=slices,
            header=self.rows.header.names,
            tenant=order.tenant,
            at=timezone.now(),
            mode=order.mode,
            dry_run=dry_run,
            size=rows_of_part(order),
            refuse=refuse,
            unread=self._note_unknown_key,
            count_stored=partial(count_stored, order.kind.export, order.tenant) if counts_stored else None,
            together=len(self.ahead),
            stored=partial(stored_document, order.kind.export, order.tenant),
        )

    def _apply(self, slices: Iterable[list[Record]], *, is_ahead: bool = False) -> None:
        refusals: list[ImportReject] = []
        run = self.report.run
        refuse = self._keeping_refusals(refusals)
        batch = self._batch(slices, refuse=refuse, dry_run=self.order.dry_run)
        limit = self._lock_limit(is_ahead=is_ahead)
        if limit is not None:
            batch = replace(batch, locked=limit.begin)
        with (
            self._noting_failure(run, refusals),
            transaction.atomic(),
            nullcontext() if limit is None else limit.kept(),
        ):
            tally = self.order.kind.writer.write(batch)
            written = self._write_rejects()
            self._check(tally)
            if run is not None:
                ImportReject.objects.bulk_create(refusals)
                line = run.committed_line if is_ahead else self.last_line
                self._note_progress(run, tally, written, line=line)
        self._tell_progress(tally)

    def _lock_limit(self, *, is_ahead: bool) -> LockLimit | None:
        """Return the limit of a transaction that is not divided however large it is; None for a batch."""
        order = self.order
        if order.dry_run:
            return None
        if order.is_atomic:
            what, instead = "all rows are one transaction", "Import the file without --atomic, in batches"
        elif is_ahead:
            what = f"the {len(self.ahead):,} rows among which unique values change hands are one transaction"
            instead = "Let them change hands in several files"
        elif (size := rows_at_once(order)) > order.kind.batch_size:
            what, instead = (
                f"{size:,} rows are one transaction",
                "Choose a smaller --batch-size",
            )
        else:
            return None
        return LockLimit(
            order.longest_lock,
            f"This was rolled back: {what}, which held what others write for {order.longest_lock:g} s."
            f" {instead}, or allow more when few people write, by --longest-lock SECONDS."
            f"{'' if order.is_atomic else ' What was committed before stays.'}",
        )

    def _rows_of_part(self, staged: int) -> int:
        """Return how many rows the next part has: as many as it had when its first slices were committed."""
        run = self.report.run
        return run.committed_slice["rows"] if run and run.committed_slice else staged

    @abstractmethod
    def _apply_in_slices(self, slices: Iterable[list[Record]]) -> None:
        """Commit a part of the file slice by slice: see core/imports/slices.py."""

    @contextmanager
    def _noting_failure(self, run: ImportRun | None, refusals: list[ImportReject]) -> Iterator[None]:
        try:
            yield
        except NOT_APPLIED:
            if run is not None:
                self._note_failure(run, refusals)
            raise

    def _tell_progress(self, tally: Tally) -> None:
        self.report.count(tally)
        self.listener.read(self.untold)
        self.untold = 0
        self.listener.committed(self.last_line, self.report.total)

    def _note_unknown_key(self, line: int, reason: str) -> None:
        """Count a row whose key cannot be read, which may mean any row that `replace` would remove."""
        if self.order.mode is Mode.REPLACE:
            self.report.unread.add(line, reason)

    def _check(self, tally: Tally) -> None:
        """Raise why the batch is not applied, if so; what was refused then counts, and nothing else does."""
        try:
            self._check_refusals(tally)
            if self.order.mode in REMOVING_MODES and not self.removals_are_judged:
                self._check_removals(tally)
        except NOT_APPLIED:
            self.report.count(Tally(rows=tally.rows, refused=tally.refused, reasons=tally.reasons))
            raise

    def _check_refusals(self, tally: Tally) -> None:
        refused = self.report.total.refused + tally.refused
        if self.order.mode is Mode.REPLACE and self.report.unread.count:
            raise self.report.unread.error()
        if self.order.is_atomic and tally.refused and not self.order.dry_run:
            raise NotAllOrNothing(
                f"{tally.refused:,} rows were refused, so nothing was applied: it is all or nothing."
            )
        if self._too_many_rejects(tally.refused):
            raise TooManyRejects(
                f"{refused:,} rows were refused and {self.order.max_rejects:,} are allowed:"
                f" the batch up to line {self.last_line:,} was not applied."
            )

    def _too_many_rejects(self, more: int) -> bool:
        allowed = self.order.max_rejects
        return allowed is not None and self.report.total.refused + more > allowed

    def _note_failure(self, run: ImportRun, refusals: list[ImportReject]) -> None:
        """Keep why rows were refused, which is what the operator needs; the transaction took it along."""
        if run.committed_slice is not None:
            return  # what the run keeps of this part was committed with its slices
        ImportReject.objects.bulk_create(refusals)
        if run.committed_line == 0:
            run.refused, run.refused_by_reason = self.report.total.refused, self.report.total.reasons
            run.save(update_fields=["refused", "refused_by_reason"])

    def _note_progress(
        self,
        run: ImportRun,
        tally: Tally,
        written: int,
        *,
        line: int,
        unfinished: JsonObject | None = None,
    ) -> None:
        """Add the counts to the run. All lines up to `line` are committed.

        `unfinished` says how far the part behind it is, of which slices are missing.
        """
        count_in(run, tally)
        run.committed_slice = unfinished
        run.committed_line = line
        run.rejects_size = written
        run.save()


def rows_of_next_deletion(order: ImportOrder, rows: int, seconds: float) -> int:
    """Return how many rows are deleted next, with all that belongs to them, in BATCH_SECONDS at most."""
    return max(1, min(int(rows * BATCH_SECONDS / max(seconds, 0.001)), rows_at_once(order)))


def rows_at_once(order: ImportOrder) -> int:
    """Return how many rows are one batch at first, whose locks are held until it is committed."""
    size = order.batch_size or order.kind.batch_size
    return min(size, DELETIONS_AT_ONCE) if order.mode is Mode.DELETE else size


def part_size(order: ImportOrder) -> int:
    """Return how many rows are staged at once, to be written in slices; 0 when each batch is by itself.

    A batch size that was asked for is kept. A replacement stages the whole file, and slices of that size.
    """
    if order.mode is Mode.REPLACE:
        return WHOLE_FILE
    is_sliced = order.batch_size is None and order.mode in SLICED_MODES
    return max(order.kind.part_size, rows_at_once(order)) if is_sliced and order.kind.part_size else 0


def rows_of_part(order: ImportOrder) -> int:
    """Return how many rows a batch may hand on at once, where it is the whole file."""
    return WHOLE_FILE if order.is_atomic and order.kind.plans_whole_file else rows_at_once(order)


def is_whole_file(order: ImportOrder) -> bool:
    """Say whether the file is applied at once: all or nothing, or a dry run."""
    return order.is_atomic or order.dry_run


def count_in(run: ImportRun, tally: Tally) -> None:
    """Add a batch to the counts of the run, which the caller saves."""
    for name in COUNTS:
        setattr(run, name, getattr(run, name) + getattr(tally, name))
    for code, count in tally.reasons.items():
        run.refused_by_reason[code] = run.refused_by_reason.get(code, 0) + count
