"""Who writes a batch of rows: a merge into their table, or an operation of the app."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import Generic, TypeVar

from django.db import transaction

from core.bodies import check_document_size, document_size
from core.errors import AlreadyExists, DomainError, InvalidInput, NotFound
from core.imports.columns import Column, completed, member_at
from core.imports.merge import CopiedRows, Merge, Refusal, Tally
from core.imports.merge_specs import EMPTIED, SPOKEN, MergeSpec, spec_for_batch
from core.imports.merge_statements import Mode
from core.imports.plain_rows import PlainRow
from core.imports.rows import Record
from core.imports.shadows import Rows, shadowed
from core.json_types import JsonMapping
from core.json_values import LARGEST_DOCUMENT
from core.sql.upserts import RowResult
from core.tenancy.callers import TenantRecord

Row = TypeVar("Row")
DELETIONS_AT_ONCE = 1_000
StagedRow = Sequence[object]
UPDATING_MODES = (Mode.UPSERT, Mode.REPLACE)
NOTED = {SPOKEN: "names", EMPTIED: "emptied"}  # what a row of a file has of each


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to apply at once, for whom and how.

    `slices` are the rows as they are read, some at a time. `dry_run` says what would happen, and writes
    nothing. `header` names the columns of a CSV file. A whole file may come as one batch: who keeps rows in
    memory takes them in parts of `size` rows, of which the first has at least the `together` first rows.
    `refuse` takes every row that is not applied, `unread` the line and the reason of those that may mean any
    stored row. `count_stored` says how many rows of the kind the tenant has; None says that the tally needs
    no count of stored rows. `stored` returns the document that is stored for a body. `locked` is called when
    rows are about to be locked that others write.
    """

    slices: Iterable[list[Record]]
    header: Sequence[str]
    tenant: TenantRecord
    at: datetime
    mode: Mode
    dry_run: bool
    size: int
    refuse: Callable[[Refusal], None]
    unread: Callable[[int, str], None]
    count_stored: Callable[[], int] | None
    together: int = 0
    stored: Callable[[JsonMapping], object] = lambda body: None
    locked: Callable[[], None] | None = None

    def note_locks(self) -> None:
        """Say that rows are about to be locked."""
        if self.locked is not None:
            self.locked()

    def parts(self, size: int) -> Iterator[list[Record]]:
        """Yield the records in parts of so many."""
        records = chain.from_iterable(self.slices)
        if self.together > size:
            yield list(islice(records, self.together))
        while part := list(islice(records, size)):
            yield part


def refusal_of(record: Record, error: DomainError) -> Refusal:
    """Return the error as the reason why the row was refused."""
    return Refusal(record.line, error.code, error.message, record.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer(ABC):
    """Applies batches of one kind, each in one transaction.

    `plain` says which lines of a CSV file need no reading. `remove` deletes rows where that has rules of its
    own.
    """

    plain: PlainRow | None = None
    remove: "Removal | None" = None

    def write(self, batch: Batch) -> Tally:
        """Apply the rows; say what became of them."""
        if batch.mode is Mode.DELETE and self.remove is not None:
            return remove_rows(batch, self.remove)
        return self._apply(batch)

    @abstractmethod
    def _apply(self, batch: Batch) -> Tally: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWriter(Writer):
    """Writes rows by merging them into their table.

    `read` makes a row of each of some bodies, or the error why it cannot. A row is the values of
    `table.given`, behind the version that it expects. `key_of` says which stored row a
    refused one means; None when that is unknown. `changed` is called in the transaction when anything was
    written.
    """

    table: MergeSpec
    read: Callable[[Sequence[JsonMapping], TenantRecord], Sequence[StagedRow | DomainError]]
    key_of: Callable[[JsonMapping], Mapping[str, str | None] | None] = lambda body: None
    changed: Callable[[], None] | None = None

    def _apply(self, batch: Batch) -> Tally:
        merge, rows = self.merge(batch)
        return merge.run(rows)

    def merge(self, batch: Batch) -> tuple[Merge, Iterable[StagedRow | CopiedRows]]:
        """Return the merge of a batch, and the rows that it stages, which are read meanwhile."""
        large: list[Record] = []  # which are checked when all are staged
        merge = Merge(
            spec_for_batch(
                self.table,
                tuple(batch.header),
                updates=batch.mode in UPDATING_MODES,
                counts_emptied=batch.dry_run,
            ),
            tenant_id=batch.tenant.id,
            at=batch.at,
            mode=batch.mode,
            write=not batch.dry_run,
            counts_stored=batch.count_stored is not None,
            refuse=batch.refuse,
            changed=self.changed,
            locked=batch.locked,
            postponed=large,
            refused_later=lambda: too_large(large, batch),
        )
        copied: Callable[[int, str], str] | None = None
        if self.plain:
            copied = self.plain.copier(batch.header, [*merge.kind.given, *merge.kind.notes])
        stage = partial(self._staged, batch, merge.kind, copied, large)
        return merge, chain.from_iterable(map(stage, batch.slices))

    def _staged(
        self,
        batch: Batch,
        table: MergeSpec,
        copied: Callable[[int, str], str] | None,
        large: list[Record],
        records: list[Record],
    ) -> list[StagedRow | CopiedRows]:
        """Return a slice of the rows as they are staged; plain ones as they are `copied`."""
        staged: list[StagedRow | CopiedRows] = []
        if copied and (plain := [record for record in records if record.is_plain]):
            staged.append(CopiedRows("".join([copied(one.line, one.source) for one in plain]), len(plain)))
            records = [record for record in records if not record.is_plain]
        bodies = [record.body for record in records if record.body is not None]
        noted = [NOTED[note] for note in table.notes]
        rows = iter(self.read(bodies, batch.tenant) if bodies else ())
        notes: Sequence[list[str] | None] = ()
        for record in records:
            row = record.error if record.body is None else next(rows)
            if len(record.source) > LARGEST_DOCUMENT and record.body is not None:
                large.append(record)
            if row is None or isinstance(row, DomainError):
                staged.append((*self._refused(record, row, batch), *[None] * len(noted)))
                continue
            if noted:
                notes = [table.parts_of(getattr(record.given, name)) for name in noted]
            staged.append((record.line, record.source, None, *row, *notes))
        return staged

    def _refused(self, record: Record, error: DomainError | None, batch: Batch) -> StagedRow:
        assert error is not None
        key = self.key_of(record.body) if record.body else None
        if key is None:
            if record.error is None:  # else it is known to be unreadable
                batch.unread(record.line, error.message)
            key = {}
        values = [key.get(name) for name in self.table.given]
        return (record.line, record.source, [error.code, error.message], None, *values)


def one_after_another(
    read: Callable[[JsonMapping, TenantRecord], StagedRow],
) -> Callable[[Sequence[JsonMapping], TenantRecord], list[StagedRow | DomainError]]:
    """Return the `read` of a TableWriter that reads each body by itself."""

    def read_all(bodies: Sequence[JsonMapping], tenant: TenantRecord) -> list[StagedRow | DomainError]:
        rows: list[StagedRow | DomainError] = []
        for body in bodies:
            try:
                rows.append(read(body, tenant))
            except DomainError as error:
                rows.append(error)
        return rows

    return read_all


def too_large(records: Iterable[Record], batch: Batch) -> Iterator[Refusal]:
    """Yield the refusals of those rows that are larger than a document may be, and than what is stored."""
    for record in records:
        assert record.body is not None
        try:
            if document_size(record.body) > LARGEST_DOCUMENT:
                check_document_size(record.body, stored=batch.stored(record.body))
        except DomainError as error:
            yield refusal_of(record, error)


@dataclass(frozen=True, slots=True)
class Removal:
    """How rows are deleted by an operation. `id` is the member of the body that names a row.

    The operation reports every id, in order, and tells by `created` that it found and deleted the row.
    `tables` are those that it writes to or locks rows of: a dry run gives it copies of them.
    """

    operation: Callable[[TenantRecord, Sequence[str], datetime], list[RowResult]]
    tables: Mapping[str, Rows]
    id: str = "id"


def one_by_one(
    delete: Callable[[TenantRecord, str, datetime], None], *, gone: type[NotFound]
) -> Callable[[TenantRecord, Sequence[str], datetime], list[RowResult]]:
    """Return the operation of a Removal that deletes row by row. `gone` is raised for what is not there."""

    def operation(tenant: TenantRecord, ids: Sequence[str], at: datetime) -> list[RowResult]:
        outcomes = []
        for position, name in enumerate(ids):
            try:
                delete(tenant, name, at)
            except gone:  # deleted before, or along with another row
                outcomes.append(RowResult(position, id=name))
            else:
                outcomes.append(RowResult(position, created=True, id=name))
        return outcomes

    return operation


def all_at_once(
    delete: Callable[[TenantRecord, Sequence[str]], Iterable[str]],
) -> Callable[[TenantRecord, Sequence[str], datetime], list[RowResult]]:
    """Return the operation of a Removal that deletes all rows at once.

    `delete` returns the ids that it found; one that comes twice was gone the second time.
    """

    def operation(tenant: TenantRecord, ids: Sequence[str], at: datetime) -> list[RowResult]:
        left = set(delete(tenant, ids))
        outcomes = []
        for position, name in enumerate(ids):
            outcomes.append(RowResult(position, created=name in left, id=name))
            left.discard(name)
        return outcomes

    return operation


def remove_rows(batch: Batch, remove: Removal) -> Tally:
    """Delete the rows that the records name; what is gone already counts as unchanged."""
    tally = Tally()
    with one_transaction(batch, remove.tables):
        stored = batch.count_stored() if batch.count_stored else 0
        for part in batch.parts(DELETIONS_AT_ONCE):
            tally.rows += len(part)
            named = [(record, (record.body or {}).get(remove.id)) for record in part]
            for record, name in named:
                if not isinstance(name, str):
                    missing = InvalidInput(f"{remove.id} is missing, or not a text.", field=remove.id)
                    refuse(tally, batch, refusal_of(record, record.error or missing))
            accepted = [(record, name) for record, name in named if isinstance(name, str)]
            batch.note_locks()
            for outcome in remove.operation(batch.tenant, [name for _, name in accepted], batch.at):
                if outcome.error:
                    refuse(tally, batch, refusal_of(accepted[outcome.position][0], outcome.error))
                elif outcome.created:
                    tally.removed += 1
                else:
                    tally.unchanged += 1
        tally.gone = tally.removed
        if batch.count_stored:
            tally.stored = {0: stored}
            tally.gone = max(tally.removed, stored - batch.count_stored())
    return tally


def one_transaction(batch: Batch, tables: Mapping[str, Rows]) -> AbstractContextManager[None]:
    """Return the transaction that a batch is applied in; that of a dry run writes to copies of the tables.

    So a dry run holds no lock that a write waits for, however long it takes.
    """
    return shadowed(tables, batch.tenant.id) if batch.dry_run else transaction.atomic()


def refuse(tally: Tally, batch: Batch, refusal: Refusal) -> None:
    """Count a refused row, and hand it on."""
    tally.count_refusal(refusal)
    batch.refuse(refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationWriter(Writer, Generic[Row]):
    """Writes rows by an operation of the app.

    `read` makes a row of a body. `tables` are those that the operation writes to or locks rows of: a dry run
    gives it copies of them.
    """

    read: Callable[[JsonMapping, TenantRecord], Row]
    tables: Mapping[str, Rows]

    def _apply(self, batch: Batch) -> Tally:
        """Apply the rows part by part.

        The file is read before the first row is written: whoever waits for what is locked does not wait for
        the file as well. A dry run locks nothing, and keeps only a part of the file in memory.
        """
        tally = Tally()
        parts: Iterable[Sequence[Record]] = batch.parts(batch.size)
        if not batch.dry_run:
            parts = list(parts)
        with one_transaction(batch, self.tables):
            for part in parts:
                tally.rows += len(part)
                for refusal in sorted(self._write_part(batch, part, tally), key=lambda refusal: refusal.line):
                    refuse(tally, batch, refusal)
        return tally

    @abstractmethod
    def _write_part(self, batch: Batch, part: Sequence[Record], tally: Tally) -> list[Refusal]:
        """Write the rows, count what became of them, and return the refused ones."""

    def _row(
        self,
        record: Record,
        body: JsonMapping | None,
        tenant: TenantRecord,
        stored: JsonMapping | None = None,
    ) -> Row | Refusal:
        """Return the row of a body: that of the record, or what this was completed to by what is `stored`."""
        if body is None:
            assert record.error is not None
            return refusal_of(record, record.error)
        try:
            if body is not record.body or len(record.source) > LARGEST_DOCUMENT:
                check_document_size(body, stored=stored)
            return self.read(body, tenant)
        except DomainError as error:
            return refusal_of(record, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class InsertWriter(OperationWriter[Row]):
    """Writes rows that are new. What is stored already stays as it is, and counts as unchanged.

    `insert` reports every row, in order.
    """

    insert: Callable[[TenantRecord, Sequence[Row]], list[RowResult]]

    def _write_part(self, batch: Batch, part: Sequence[Record], tally: Tally) -> list[Refusal]:
        accepted: list[tuple[Record, Row]] = []
        refused: list[Refusal] = []
        for record in part:
            row = self._row(record, record.body, batch.tenant)
            if isinstance(row, Refusal):
                refused.append(row)
            else:
                accepted.append((record, row))
        batch.note_locks()
        for result in self.insert(batch.tenant, [row for _, row in accepted]):
            if result.error:
                refused.append(refusal_of(accepted[result.position][0], result.error))
            elif result.created:
                tally.created += 1
            else:
                tally.unchanged += 1
        return refused


class Overtaken(Exception):
    """Stored rows are no longer as they were when the rows of a file were completed by them."""


@dataclass(slots=True)
class Planned(Generic[Row]):
    """What rows of a file come to, made of what was stored at that moment, without a lock.

    `last` has the last row of each id with its record, `changed` those of them that are to be written.
    """

    stored: Mapping[str, JsonMapping] = field(default_factory=dict)
    last: dict[str, tuple[Record, Row]] = field(default_factory=dict)
    changed: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    repeated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertWriter(OperationWriter[Row]):
    """Creates and changes rows. Of rows with the same id the last counts.

    A row that does not have all columns is completed by what is stored. `id` is the member of the body that
    names a row, `stored` returns the bodies of those that exist, `hold` locks these until the transaction
    ends. `changed` keeps the rows that are new or differ from what is stored, `existing` tells which ids
    exist. `upsert` reports every row, in order; when it has its locks, and before it writes, it calls the
    function that it is given, which raises Overtaken when the rows have to be completed again. `locate` puts
    ids in the place of other ways to name something, of a batch of records.
    """

    identify: Callable[[Row], str]
    changed: Callable[[TenantRecord, Sequence[Row], Mapping[str, JsonMapping]], list[Row]]
    columns: Sequence[Column]
    stored: Callable[[TenantRecord, Sequence[str]], dict[str, dict[str, object]]]
    hold: Callable[[TenantRecord, Sequence[str]], None]
    existing: Callable[[TenantRecord, Sequence[str]], set[str]]
    upsert: Callable[[TenantRecord, Sequence[Row], datetime, Callable[[], None]], list[RowResult]]
    id: str = "id"
    locate: Callable[[TenantRecord, Sequence[Record]], Sequence[Record]] = lambda tenant, records: records

    def _write_part(self, batch: Batch, part: Sequence[Record], tally: Tally) -> list[Refusal]:
        """Plan without a lock and write; plan again under the locks when what is stored changed meanwhile."""
        plan = self._planned(batch, part)
        try:
            outcomes = self._upserted(batch, plan, partial(self._confirm, batch, plan))
        except Overtaken:
            batch.note_locks()
            self.hold(batch.tenant, list(self.stored(batch.tenant, self._names(part))))
            plan = self._planned(batch, part)
            outcomes = self._upserted(batch, plan, lambda: None)
        tally.repeated += plan.repeated
        tally.unchanged += len(plan.last) - len(plan.changed)
        refused = list(plan.refused)
        for outcome in outcomes:
            record, _ = plan.last[self.identify(plan.changed[outcome.position])]
            if outcome.error:
                refused.append(refusal_of(record, outcome.error))
            elif outcome.created:
                tally.created += 1
            else:
                tally.changed += 1
                if batch.dry_run:
                    self._count_emptied(record, plan.stored, tally)
        return refused

    def _planned(self, batch: Batch, part: Sequence[Record]) -> Planned[Row]:
        part = self.locate(batch.tenant, part)
        plan: Planned[Row] = Planned()
        if batch.mode in UPDATING_MODES:
            plan.stored = self.stored(batch.tenant, self._names(part))
        bodies = dict(plan.stored)
        for record in part:
            row = self._completed_row(record, batch, bodies)
            if isinstance(row, Refusal):
                plan.refused.append(row)
            else:
                name = self.identify(row)
                plan.repeated += name in plan.last
                plan.last[name] = (record, row)
        if batch.mode is Mode.INSERT:
            for name in self.existing(batch.tenant, list(plan.last)):
                record, _ = plan.last.pop(name)
                plan.refused.append(refusal_of(record, AlreadyExists("The row exists already.")))
        rows = [row for _, row in plan.last.values()]
        differing = self.changed(batch.tenant, rows, plan.stored)
        plan.changed = [row for row in differing if not self._is_as_stored(row, batch, plan)]
        return plan

    def _is_as_stored(self, row: Row, batch: Batch, plan: Planned[Row]) -> bool:
        """Say whether the stored body, which shows milliseconds and no empty texts, reads as the same row."""
        record, _ = plan.last[self.identify(row)]
        body = plan.stored.get(str((record.body or {}).get(self.id)))
        if body is None:
            return False
        try:
            return self.read(body, batch.tenant) == row
        except DomainError:  # what is stored would not be accepted, so the row differs from it
            return False

    def _names(self, records: Sequence[Record]) -> list[str]:
        """Return what the records name their rows by, as it is given."""
        named = (record.body.get(self.id) for record in records if record.body)
        return sorted({name for name in named if isinstance(name, str)})

    def _completed_row(self, record: Record, batch: Batch, bodies: dict[str, JsonMapping]) -> Row | Refusal:
        """Return the row, completed by its body among `bodies`, which then is the new one."""
        body = record.body
        name = body.get(self.id) if body else None
        stored = bodies.get(name) if isinstance(name, str) else None
        if body is not None and stored is not None:
            body = completed(body, record.given, stored, self.columns)
        row = self._row(record, body, batch.tenant, stored)
        is_new_body = body is not None and batch.mode in UPDATING_MODES and not isinstance(row, Refusal)
        if is_new_body and isinstance(name, str):
            bodies[name] = dict(body or {})
        return row

    def _upserted(self, batch: Batch, plan: Planned[Row], confirm: Callable[[], None]) -> list[RowResult]:
        if not plan.changed:
            return []
        return self.upsert(batch.tenant, plan.changed, batch.at, confirm)

    def _confirm(self, batch: Batch, plan: Planned[Row]) -> None:
        """Raise Overtaken when the rows that are to be written would be planned in another way by now."""
        batch.note_locks()
        if batch.mode is Mode.INSERT:
            if self.existing(batch.tenant, [self.identify(row) for row in plan.changed]):
                raise Overtaken
            return
        names = self._names([plan.last[self.identify(row)][0] for row in plan.changed])
        known = {name: plan.stored[name] for name in names if name in plan.stored}
        if self.stored(batch.tenant, names) != known:
            raise Overtaken

    def _count_emptied(
        self, record: Record, stored: Mapping[str, Mapping[str, object]], tally: Tally
    ) -> None:
        body = stored.get(str((record.body or {}).get(self.id)), {})
        for name in record.given.emptied:
            if member_at(body, name) not in (None, "", {}, []):
                tally.emptied[name] = tally.emptied.get(name, 0) + 1
