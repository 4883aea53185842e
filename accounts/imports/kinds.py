"""What a file can hold, and who writes a batch of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from django.db import transaction

from accounts.callers import TenantRecord
from core.api.representations import Representation
from core.errors import AlreadyExists, DomainError, InvalidInput, NotFound
from core.imports.columns import Column
from core.imports.kinds import TableKind
from core.imports.merging import Merge, Refusal, Tally
from core.imports.plain_rows import PlainRow
from core.imports.records import Record
from core.imports.shadows import Rows, shadowed
from core.imports.stages import CopiedRows
from core.imports.statements import Mode
from core.upserts import Outcome

Row = TypeVar("Row")
DELETIONS_AT_ONCE = 1_000
LINES_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to apply at once, for whom and how.

    `is_rehearsal` says what would happen, and writes nothing. `header` names the columns of a CSV file. A
    whole file may come as one batch: who keeps rows in memory takes them in parts of `size` rows.
    `refuse` takes every row that is not applied, `unread` the line and the reason of those that may mean any
    stored row. `count_stored` says how many rows of the kind the tenant has. `written` is called with the
    keys of created rows when a table was written to, while `import_written` says what else was done (see
    Merge).
    """

    records: Iterable[Record]
    header: Sequence[str]
    tenant: TenantRecord
    at: datetime
    mode: Mode
    is_rehearsal: bool
    size: int
    refuse: Callable[[Refusal], None]
    unread: Callable[[int, str], None]
    count_stored: Callable[[], int]
    written: Callable[[str], None] | None = None

    def parts(self, size: int) -> Iterator[list[Record]]:
        """Yield the records in parts of so many."""
        records = iter(self.records)
        while part := list(islice(records, size)):
            yield part


class Writer(Protocol):
    """Applies batches of one kind. `plain` says which lines of a CSV file may come as plain rows."""

    @property
    def plain(self) -> PlainRow | None: ...

    def write(self, batch: Batch) -> Tally:
        """Apply the rows in one transaction; say what became of them."""
        ...


@dataclass(frozen=True, slots=True)
class Export:
    """How the rows of a tenant are written to a file: documents that the import takes, in this order.

    `key` are the members that say which row a document is.
    """

    representation: Representation
    order: str
    key: tuple[str, ...] = ("id",)
    condition: str = "TRUE"


@dataclass(frozen=True, slots=True)
class ImportKind:
    """A kind of row in files. `name` is that of its commands, `upsert_<name>` and `export_<name>`.

    `batch_size` bounds how long a batch holds its locks: less than a write waits for them. With
    `plans_whole_file` an import that is all or nothing hands all rows to the operation at once.
    """

    name: str
    noun: str
    columns: tuple[Column, ...]
    writer: Writer
    export: Export
    modes: tuple[Mode, ...] = (Mode.UPSERT, Mode.INSERT, Mode.DELETE)
    is_undoable: bool = False
    plans_whole_file: bool = False
    batch_size: int = 20_000


def refusal_of(record: Record, error: DomainError) -> Refusal:
    """Return the error as the reason why the row was refused."""
    return Refusal(record.line, error.code, error.message, record.source)


@dataclass(frozen=True, slots=True)
class TableWriter:
    """Writes rows by merging them into their table.

    `read` makes the values of `table.given` of a body, behind the version that the row expects; plain rows
    need no reading. `key_of` says which stored row a refused one means; None when that cannot be told.
    `remove` deletes rows where that has rules of its own. `changed` is called in the transaction when
    anything was written.
    """

    table: TableKind
    read: Callable[[Mapping[str, Any], TenantRecord], Sequence[Any]]
    key_of: Callable[[Mapping[str, Any]], Mapping[str, str | None] | None] = lambda body: None
    remove: "Removal | None" = None
    changed: Callable[[], None] | None = None
    plain: PlainRow | None = None

    def write(self, batch: Batch) -> Tally:
        """Apply the rows in one transaction; say what became of them."""
        if batch.mode is Mode.DELETE and self.remove is not None:
            return remove_rows(batch, self.remove)
        merge = Merge(
            self.table,
            tenant_id=batch.tenant.id,
            at=batch.at,
            mode=batch.mode,
            write=not batch.is_rehearsal,
        )
        with transaction.atomic():
            tally = merge.run(self._rows(batch), refuse=batch.refuse, written=batch.written)
            if self.changed and merge.write and (tally.created or tally.changed or tally.removed):
                self.changed()
        return tally

    def _rows(self, batch: Batch) -> Iterator[Sequence[Any] | CopiedRows]:
        read, tenant = self.read, batch.tenant
        lines: list[str] = []
        copied = self.plain.copier(batch.header, list(self.table.given)) if self.plain else None
        for record in batch.records:
            if copied and record.is_plain:
                lines.append(copied(record.line, record.source))
                if len(lines) == LINES_AT_ONCE:
                    yield CopiedRows("".join(lines), len(lines))
                    lines = []
                continue
            error = record.error
            if record.body is not None:
                try:
                    values = read(record.body, tenant)
                except DomainError as refused:
                    error = refused
                else:
                    yield (record.line, record.source, None, *values)
                    continue
            assert error is not None
            yield self._refused(record, error, batch)
        if lines:
            yield CopiedRows("".join(lines), len(lines))

    def _refused(self, record: Record, error: DomainError, batch: Batch) -> Sequence[Any]:
        key = self.key_of(record.body) if record.body else None
        if key is None:
            batch.unread(record.line, error.message)
            key = {}
        values = [key.get(name) for name in self.table.given]
        return (record.line, record.source, [error.code, error.message], None, *values)


@dataclass(frozen=True, slots=True)
class Removal:
    """How rows are deleted by an operation. `id` is the member of the body that names a row.

    The operation reports every id, in order, and tells by `created` that it found and deleted the row.
    `tables` are those that it writes to or locks rows of: a dry run gives it copies of them.
    """

    operation: Callable[[TenantRecord, Sequence[str], datetime], list[Outcome]]
    tables: Mapping[str, Rows]
    id: str = "id"


def one_by_one(
    delete: Callable[[TenantRecord, str, datetime], None], *, gone: type[NotFound]
) -> Callable[[TenantRecord, Sequence[str], datetime], list[Outcome]]:
    """Return the operation of a Removal that deletes row by row. `gone` is raised for what is not there."""

    def operation(tenant: TenantRecord, ids: Sequence[str], at: datetime) -> list[Outcome]:
        outcomes = []
        for position, name in enumerate(ids):
            try:
                delete(tenant, name, at)
            except gone:  # deleted before, or along with another row
                outcomes.append(Outcome(position, id=name))
            else:
                outcomes.append(Outcome(position, created=True, id=name))
        return outcomes

    return operation


def remove_rows(batch: Batch, remove: Removal) -> Tally:
    """Delete the rows that the records name; what is gone already counts as unchanged."""
    tally = Tally()
    with one_transaction(batch, remove.tables):
        stored = batch.count_stored()
        for part in batch.parts(DELETIONS_AT_ONCE):
            tally.rows += len(part)
            named = [(record, (record.body or {}).get(remove.id)) for record in part]
            for record, name in named:
                if not isinstance(name, str):
                    missing = InvalidInput(f"{remove.id} is missing, or not a text.", field=remove.id)
                    refuse(tally, batch, refusal_of(record, record.error or missing))
            accepted = [(record, name) for record, name in named if isinstance(name, str)]
            for outcome in remove.operation(batch.tenant, [name for _, name in accepted], batch.at):
                if outcome.error:
                    refuse(tally, batch, refusal_of(accepted[outcome.position][0], outcome.error))
                elif outcome.created:
                    tally.removed += 1
                else:
                    tally.unchanged += 1
        tally.stored = {0: stored}
        tally.gone = max(tally.removed, stored - batch.count_stored())
    return tally


def one_transaction(batch: Batch, tables: Mapping[str, Rows]) -> AbstractContextManager[None]:
    """Return the transaction that a batch is applied in; that of a dry run writes to copies of the tables.

    So a dry run holds no lock that a write waits for, however long it takes.
    """
    return shadowed(tables, batch.tenant.id) if batch.is_rehearsal else transaction.atomic()


def refuse(tally: Tally, batch: Batch, refusal: Refusal) -> None:
    """Count a refused row, and hand it on."""
    tally.count_refusal(refusal)
    batch.refuse(refusal)


@dataclass(frozen=True, slots=True)
class OperationWriter(Generic[Row]):
    """Writes rows by an app's bulk operations. Of rows with the same id the last counts.

    `changed` keeps the rows that are new or differ from what is stored, `existing` tells which ids exist,
    `upsert` reports every row, in order. `tables` are those that `upsert` writes to or locks rows of: a dry
    run gives it copies of them.
    """

    read: Callable[[Mapping[str, Any], TenantRecord], Row]
    identify: Callable[[Row], str]
    changed: Callable[[TenantRecord, Sequence[Row]], list[Row]]
    existing: Callable[[TenantRecord, Sequence[str]], set[str]]
    upsert: Callable[[TenantRecord, Sequence[Row], datetime], list[Outcome]]
    tables: Mapping[str, Rows]
    remove: Removal
    plain: None = None

    def write(self, batch: Batch) -> Tally:
        """Apply the rows in one transaction; say what became of them.

        All rows are read before the first is written: whoever waits for what is locked does not wait for
        the file as well.
        """
        if batch.mode is Mode.DELETE:
            return remove_rows(batch, self.remove)
        tally = Tally()
        parts = [self._read_part(batch, part, tally) for part in batch.parts(batch.size)]
        with one_transaction(batch, self.tables):
            for rows in parts:
                self._apply(batch, rows, tally)
        return tally

    def _read_part(self, batch: Batch, part: Sequence[Record], tally: Tally) -> dict[str, tuple[Record, Row]]:
        last: dict[str, tuple[Record, Row]] = {}
        for record in part:
            tally.rows += 1
            row = self._row(record, batch)
            if isinstance(row, Refusal):
                refuse(tally, batch, row)
            else:
                name = self.identify(row)
                tally.repeated += name in last
                last[name] = (record, row)
        return last

    def _row(self, record: Record, batch: Batch) -> Row | Refusal:
        if record.body is None:
            assert record.error is not None
            return refusal_of(record, record.error)
        try:
            return self.read(record.body, batch.tenant)
        except DomainError as error:
            return refusal_of(record, error)

    def _apply(self, batch: Batch, last: dict[str, tuple[Record, Row]], tally: Tally) -> None:
        if batch.mode is Mode.INSERT:
            for name in self.existing(batch.tenant, list(last)):
                record, _ = last.pop(name)
                refuse(tally, batch, refusal_of(record, AlreadyExists("The row exists already.")))
        changed = self.changed(batch.tenant, [row for _, row in last.values()])
        tally.unchanged += len(last) - len(changed)
        if not changed:
            return
        for outcome in self.upsert(batch.tenant, changed, batch.at):
            if outcome.error:
                record, _ = last[self.identify(changed[outcome.position])]
                refuse(tally, batch, refusal_of(record, outcome.error))
            elif outcome.created:
                tally.created += 1
            else:
                tally.changed += 1
