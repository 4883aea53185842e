"""How a batch of assignments to one segment, of customers or of items, is locked and written.

Each statement needs one round trip to PostgreSQL: it takes the batch by wire ids, looks up and locks what
they name, then the segment, then the assignments, each in key order, and decides on what it locked. Locks are
held until the transaction ends; outside a transaction a statement is one itself.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, TypeVar

from django.db import models, transaction

from core.errors import DomainError
from core.sql.composition import Sql, SqlValues, composed_once, identifier, identifiers, param, sql
from core.sql.fetching import fetch_rows
from core.sql.upserts import (
    BatchPlan,
    BodyColumns,
    RowResult,
    UpsertTarget,
    given_columns,
    upsert,
    version_of_new,
)
from segments.bodies import AssignmentBody, WireIds
from segments.errors import SegmentNotFound

Row = TypeVar("Row", bound=AssignmentBody)
Refusal = Callable[[Row, Sequence[int | None]], DomainError]

LOCK = Sql(" FOR KEY SHARE")


class Reference(NamedTuple):
    """Something that an assignment points to in addition to its segment.

    A batch names it by wire id in a column `name`; the assignment's `column` holds its key. `rows` are those
    that may be named, as FROM ... AS name WHERE. A row that names one may be assigned under a `condition`,
    for which `joins` follow in the FROM.
    """

    name: str
    column: str
    rows: Sql
    joins: Sql = Sql("")
    condition: Sql = Sql("true")


@dataclass(frozen=True, kw_only=True, eq=False)
class AssignmentKind:
    """A kind of assignments: where they are stored, what they point to, and the body that says the rest.

    Every row has the first reference; the others it may lack.
    """

    model: type[models.Model]
    target: UpsertTarget
    body: type[AssignmentBody]
    references: tuple[Reference, ...]

    @cached_property
    def columns(self) -> BodyColumns:
        """Reads the `values` of bodies."""
        return BodyColumns(self.model, self.body, self.values, parts=self.body.parts)

    def named(self, names: Collection[str]) -> list[Reference]:
        """Return the references of these names."""
        return [reference for reference in self.references if reference.name in names]

    @cached_property
    def wire_ids(self) -> dict[str, str]:
        """The columns of a batch's wire ids, with their types."""
        return {reference.name: "text" for reference in self.references}

    @cached_property
    def values(self) -> dict[str, str]:
        """The columns of what a batch says beside, with their types."""
        return {name: kind for name, kind in self.target.columns.items() if name not in self.target.key}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentStatements:
    """The statements for batches of one kind of assignments to one segment.

    A row of a batch begins with its wire ids, one for each reference of the kind, None for one that it
    lacks. No two rows of a batch have the same.
    """

    kind: AssignmentKind
    tenant_id: int
    segment_id: str

    def lock_versions(self, named: Sequence[WireIds]) -> dict[WireIds, int]:
        """Lock those of the assignments that exist and return their versions, in one statement."""
        references = self._named_references(named)
        statement = lock_statement(self.kind, references, **self._given(named, references))
        found = fetch_rows(statement, prepared=True)
        return {named[ordinality - 1]: version for ordinality, version in found}

    def preview(self, named: Sequence[WireIds]) -> list[SqlValues]:
        """Return what writing would meet, in one statement that locks nothing.

        A result, in order, says whether the row can be assigned and whether it is stored already; then come
        the keys of its wire ids as `write` returns them. Raises SegmentNotFound.
        """
        if not named:
            return []
        references = self._named_references(named)
        found = fetch_rows(preview_statement(self.kind, references, **self._given(named, references)))
        if not found:
            raise SegmentNotFound(resource_id=self.segment_id)
        return found

    def write(self, plan: BatchPlan[WireIds, Row], *, at: datetime) -> list[SqlValues]:
        """Create or replace the plan's assignments in one statement; return for each whether it was created.

        A result, in order, begins with None when the row cannot be assigned; then come the keys of its wire
        ids, None where there is none, except those of references that no row has. Raises SegmentNotFound.
        """
        references = self._named_references([*plan.rows])
        columns = self.kind.wire_ids | self.kind.values
        values = self.kind.columns.read([*plan.rows.values()], created_at=at, modified_at=at)
        given, shared = given_columns(
            columns, [*zip(*plan.rows, strict=True), *values], [*plan.writes.values()], listed=references
        )
        statement = write_statement(
            self.kind,
            references,
            given=given,
            shared=shared,
            tenant=param(self.tenant_id),
            segment_id=param(self.segment_id),
        )
        found = fetch_rows(statement, prepared=True)
        if not found:
            raise SegmentNotFound(resource_id=self.segment_id)
        versions, *keys = zip(*found, strict=True)
        return [*zip(self.kind.target.are_created(versions, plan.writes.values()), *keys, strict=True)]

    def _named_references(self, named: Sequence[WireIds]) -> tuple[str, ...]:
        """Return the references that some row has: what nobody names need not be looked up."""
        columns = zip(self.kind.references, zip(*named, strict=True), strict=True)
        return tuple([reference.name for reference, ids in columns if ids.count(None) < len(ids)])

    def _given(self, named: Sequence[WireIds], references: Collection[str]) -> dict[str, Sql]:
        """Return the pieces of a statement that only looks up the rows."""
        given, _ = given_columns(self.kind.wire_ids, [*zip(*named, strict=True)], listed=references)
        return {"given": given, "tenant": param(self.tenant_id), "segment_id": param(self.segment_id)}


def upsert_batch(
    statements: AssignmentStatements,
    rows: Sequence[Row | DomainError],
    *,
    at: datetime,
    refusal: Refusal[Row],
) -> list[RowResult]:
    """Create or replace assignments to one segment and report every row, in order.

    Rows of the same wire ids act one after the other. What is not written, because it names what does not
    exist or what may not be assigned, is refused with the `refusal` for the row and the keys that were found
    for its wire ids, and spoils no other. Raises SegmentNotFound. Takes one statement, and one more when a
    row expects a version, whatever the number of rows.
    """
    plan: BatchPlan[WireIds, Row] = BatchPlan()
    if not any(
        row.metadata and row.metadata.version is not None for row in rows if not isinstance(row, DomainError)
    ):
        plan.add_all(rows, statements.kind.body.wire_id_names)
        return write_planned(statements, plan, at=at, refusal=refusal)
    accepted = plan.accepted(rows)
    with transaction.atomic():
        versions = statements.lock_versions(list({row.wire_ids for _, row in accepted}))
        for position, row in accepted:
            plan.add(
                position,
                row.wire_ids,
                row,
                stored_version=versions.get(row.wire_ids),
                expected_version=row.expected_version,
            )
        return write_planned(statements, plan, at=at, refusal=refusal)


def write_planned(
    statements: AssignmentStatements, plan: BatchPlan[WireIds, Row], *, at: datetime, refusal: Refusal[Row]
) -> list[RowResult]:
    """Write the rows of the plan and report every row of the batch."""
    if not plan.rows:
        held_segment(statements.tenant_id, statements.segment_id)
        return plan.results
    outcomes: list[bool | DomainError] = []
    for row, result in zip(plan.rows.values(), statements.write(plan, at=at), strict=True):
        outcomes.append(refusal(row, result[1:]) if result[0] is None else result[0])
    plan.record_in_order(outcomes)
    return plan.results


def held_segment(tenant_id: int, segment_id: str) -> int:
    """Return the segment's key and keep it from being deleted until the transaction ends.

    Raises SegmentNotFound.
    """
    rows = fetch_rows(
        sql(
            "SELECT id FROM segments_segment WHERE tenant_id = {tenant} AND external_id = {id} FOR KEY SHARE",
            tenant=param(tenant_id),
            id=param(segment_id),
        )
    )
    if not rows:
        raise SegmentNotFound(resource_id=segment_id)
    return rows[0][0]


@composed_once
def lock_statement(kind: AssignmentKind, names: tuple[str, ...], **given: Sql) -> Sql:
    """Return the statement of `AssignmentStatements.lock_versions`."""
    references = kind.named(names)
    keys = [identifier("assignment", reference.column) for reference in references]
    return sql(
        "{resolved} SELECT resolved.ordinality, assignment.version FROM segment CROSS JOIN resolved"
        " JOIN {stored} WHERE is_assignable ORDER BY {keys} FOR UPDATE OF assignment",
        resolved=resolved_rows(references, lock=LOCK, **given),
        stored=stored_rows(kind, references),
        keys=Sql.joined(", ", keys),
    )


@composed_once
def preview_statement(kind: AssignmentKind, names: tuple[str, ...], **given: Sql) -> Sql:
    """Return the statement of `AssignmentStatements.preview`."""
    references = kind.named(names)
    return sql(
        "{resolved} SELECT is_assignable, assignment.id IS NOT NULL, {keys}"
        " FROM segment CROSS JOIN resolved LEFT JOIN {stored} ORDER BY resolved.ordinality",
        resolved=resolved_rows(references, lock=Sql(""), **given),
        keys=resolved_keys(references),
        stored=stored_rows(kind, references),
    )


@composed_once
def write_statement(kind: AssignmentKind, names: tuple[str, ...], *, shared: Sql, **given: Sql) -> Sql:
    """Return the statement of `AssignmentStatements.write`."""
    target, references = kind.target, kind.named(names)
    assigned = [reference.column for reference in references]
    columns, keys = [*assigned, *kind.values], identifiers(assigned)
    source = sql(
        "SELECT segment.tenant_id, segment.id, {columns}, {version}"
        " FROM segment CROSS JOIN resolved CROSS JOIN {shared} WHERE is_assignable ORDER BY {keys}",
        columns=identifiers(columns),
        version=version_of_new(target),
        shared=shared,
        keys=keys,
    )
    returning = sql("{keys}, version", keys=keys)
    return sql(
        "{resolved}, written AS ({insertion}) SELECT written.version, {keys}"
        " FROM segment CROSS JOIN resolved LEFT JOIN written"
        " ON is_assignable AND {same_keys} ORDER BY resolved.ordinality",
        resolved=resolved_rows(references, lock=LOCK, **given),
        insertion=upsert(target, ["tenant_id", "segment_id", *columns], source, returning=returning),
        keys=resolved_keys(references),
        same_keys=same_keys("written", references),
    )


def stored_rows(kind: AssignmentKind, references: Sequence[Reference]) -> Sql:
    """Return the stored assignments of the resolved rows, as they follow a JOIN."""
    absent = [
        sql(" AND {column} IS NULL", column=identifier("assignment", other.column))
        for other in kind.references
        if other not in references
    ]
    return sql(
        "{table} AS assignment ON assignment.tenant_id = segment.tenant_id"
        " AND assignment.segment_id = segment.id AND {same_keys}{absent}",
        table=identifier(kind.target.table),
        same_keys=same_keys("assignment", references),
        absent=Sql.joined("", absent),
    )


def resolved_rows(
    references: Sequence[Reference], *, lock: Sql, given: Sql, tenant: Sql, segment_id: Sql
) -> Sql:
    """Return the beginning of a statement: the `segment` and the `resolved` rows of the batch.

    With a `lock`, what they name is locked. Each lookup waits for the one before it, so that locks are
    always taken in this order.
    """
    tables = [sql("WITH given AS MATERIALIZED (SELECT * FROM {given})", given=given)]
    keys, joins, conditions = [], [], []
    all_before = Sql("true")
    for reference in references:
        name = identifier(reference.name)
        lookup = sql(
            "{name} AS MATERIALIZED (SELECT {name}.tenant_id, {name}.id, {name}.external_id"
            " FROM {rows} {name}.tenant_id = {tenant}"
            " AND {name}.external_id = ANY(ARRAY(SELECT given.{name} FROM given)) AND {all_before}"
            " ORDER BY {name}.id{lock})",
            name=name,
            lock=lock,
            rows=reference.rows,
            tenant=tenant,
            all_before=all_before,
        )
        tables.append(lookup)
        all_before = sql("(SELECT count(*) FROM {name}) >= 0", name=name)
        keys.append(sql("{name}.id AS {column}", name=name, column=identifier(reference.column)))
        joins.append(
            sql(
                "LEFT JOIN {name} ON {name}.external_id = given.{name} {joins}",
                name=name,
                joins=reference.joins,
            )
        )
        conditions.append(
            sql(
                "(given.{name} IS NULL OR {name}.id IS NOT NULL AND {condition})",
                name=name,
                condition=reference.condition,
            )
        )
    segment = sql(
        "segment AS MATERIALIZED (SELECT tenant_id, id FROM segments_segment"
        " WHERE tenant_id = {tenant} AND external_id = {segment_id} AND {all_before}{lock})",
        tenant=tenant,
        lock=lock,
        segment_id=segment_id,
        all_before=all_before,
    )
    resolved = sql(
        "resolved AS MATERIALIZED (SELECT given.*, {keys}, {conditions} AS is_assignable FROM given {joins})",
        keys=Sql.joined(", ", keys),
        conditions=Sql.joined(" AND ", conditions),
        joins=Sql.joined(" ", joins),
    )
    return Sql.joined(", ", [*tables, segment, resolved])


def resolved_keys(references: Sequence[Reference]) -> Sql:
    """Return the keys that the wire ids of a resolved row were found to have."""
    return Sql.joined(", ", [identifier("resolved", reference.column) for reference in references])


def same_keys(table: str, references: Sequence[Reference]) -> Sql:
    """Return the condition that a row of the table points to the same as a resolved row."""
    first, *others = [reference.column for reference in references]
    equal = sql("{table}.{key} = resolved.{key}", table=identifier(table), key=identifier(first))
    equal_or_absent = [
        sql(
            " AND {table}.{key} IS NOT DISTINCT FROM resolved.{key}",
            table=identifier(table),
            key=identifier(key),
        )
        for key in others
    ]
    return Sql.joined("", [equal, *equal_or_absent])
