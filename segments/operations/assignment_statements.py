"""The statements that lock and write a batch of assignments to one segment.

Each goes the whole way in one journey to PostgreSQL: it takes the batch by wire ids, looks up and locks what
they name, then the segment, then the assignments, each in key order, and decides on what it locked. Locks
are held until the transaction ends; a statement alone is a transaction of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from core.sql.statements import Sql, fetch_rows
from core.sql.upserts import UpsertTarget, given_rows, upsert, version_of_new
from segments.errors import SegmentNotFound

WireIds: TypeAlias = tuple[str | None, ...]


class Reference(NamedTuple):
    """Something that an assignment points to beside its segment.

    A batch names it by wire id in a column `name`; the assignment's `column` holds its key. `rows` are those
    that may be named, as FROM ... AS name WHERE. A row that names one may be assigned under a `condition`,
    for which `joins` follow in the FROM.
    """

    name: str
    column: str
    rows: str
    joins: str = ""
    condition: str = "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentKind:
    """A kind of assignments: where they are stored, and what they point to.

    Every row has the first reference; the others it may lack.
    """

    target: UpsertTarget
    references: tuple[Reference, ...]

    @property
    def wire_ids(self) -> dict[str, str]:
        """The columns of a batch's wire ids, with their types."""
        return {reference.name: "text" for reference in self.references}

    @property
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
        given, _ = given_rows(self.kind.wire_ids, named, listed=[reference.name for reference in references])
        resolved = self._resolved(references, given)
        lacked = [
            f" AND assignment.{other.column} IS NULL"
            for other in self.kind.references
            if other not in references
        ]
        statement = (
            f"{resolved.text} SELECT resolved.ordinality, assignment.version FROM segment CROSS JOIN resolved"
            f" JOIN {self.kind.target.table} AS assignment ON assignment.tenant_id = segment.tenant_id"
            f" AND assignment.segment_id = segment.id AND {same_keys('assignment', references)}"
            f" WHERE is_assignable{''.join(lacked)}"
            f" ORDER BY {', '.join(f'assignment.{reference.column}' for reference in references)}"
            " FOR UPDATE OF assignment"
        )
        found = fetch_rows(Sql(statement, resolved.values), keeps_plan=True)
        return {named[ordinality - 1]: version for ordinality, version in found}

    def write(self, rows: Sequence[Sequence[Any]], writes: Sequence[int]) -> list[tuple[Any, ...]]:
        """Create or replace assignments in one statement, and say of each whether it was created.

        Behind its wire ids a row has the values of the kind, and it stands for so many writes. The answer
        for it, in order, is None when it cannot be assigned; then come the keys that its wire ids stand
        for, None where there is none, but not those of references that no row has. Raises SegmentNotFound.
        """
        target, references = self.kind.target, self._named_references(rows)
        given, shared = given_rows(
            self.kind.wire_ids | self.kind.values,
            rows,
            writes,
            listed=[reference.name for reference in references],
        )
        resolved = self._resolved(references, given)
        keys = [reference.column for reference in references]
        columns = [*keys, *self.kind.values]
        source = (
            f"SELECT segment.tenant_id, segment.id, {', '.join(columns)}, {version_of_new(target)}"
            f" FROM segment CROSS JOIN resolved CROSS JOIN {shared.text}"
            f" WHERE is_assignable ORDER BY {', '.join(keys)}"
        )
        returned = f"{', '.join(keys)}, xmax = 0 AS is_new"
        insertion = upsert(target, ["tenant_id", "segment_id", *columns], source, returning=returned)
        statement = (
            f"{resolved.text}, written AS ({insertion})"
            f" SELECT written.is_new, {', '.join(f'resolved.{key}' for key in keys)}"
            " FROM segment CROSS JOIN resolved LEFT JOIN written"
            f" ON is_assignable AND {same_keys('written', references)} ORDER BY resolved.ordinality"
        )
        found = fetch_rows(Sql(statement, (*resolved.values, *shared.values)), keeps_plan=True)
        if not found:
            raise SegmentNotFound(resource_id=self.segment_id)
        return found

    def _named_references(self, rows: Sequence[Sequence[Any]]) -> list[Reference]:
        """Return the references that some row has: what nobody names need not be looked up."""
        return [
            reference
            for place, reference in enumerate(self.kind.references)
            if any(row[place] is not None for row in rows)
        ]

    def _resolved(self, references: Sequence[Reference], given: Sql) -> Sql:
        """Return the beginning of a statement: the `segment` and the `resolved` rows of the batch, locked.

        Each lookup waits for the one before it, so that locks are always taken in this order.
        """
        tables = [Sql(f"WITH given AS MATERIALIZED (SELECT * FROM {given.text})", given.values)]
        keys, joins, conditions = [], [], []
        all_before = "true"
        for name, column, source, further_joins, condition in references:
            named = f"{name}.external_id = ANY(ARRAY(SELECT given.{name} FROM given))"
            lookup = (
                f"{name} AS MATERIALIZED (SELECT {name}.tenant_id, {name}.id, {name}.external_id"
                f" FROM {source} {name}.tenant_id = %s AND {named} AND {all_before}"
                f" ORDER BY {name}.id FOR KEY SHARE)"
            )
            tables.append(Sql(lookup, (self.tenant_id,)))
            all_before = f"(SELECT count(*) FROM {name}) >= 0"
            keys.append(f"{name}.id AS {column}")
            joins.append(f"LEFT JOIN {name} ON {name}.external_id = given.{name} {further_joins}")
            exists = f"{name}.id IS NOT NULL AND {condition}"
            conditions.append(f"(given.{name} IS NULL OR {exists})")
        segment = (
            "segment AS MATERIALIZED (SELECT tenant_id, id FROM segments_segment"
            f" WHERE tenant_id = %s AND external_id = %s AND {all_before} FOR KEY SHARE)"
        )
        tables.append(Sql(segment, (self.tenant_id, self.segment_id)))
        resolved = (
            f"resolved AS MATERIALIZED (SELECT given.*, {', '.join(keys)},"
            f" {' AND '.join(conditions)} AS is_assignable FROM given {' '.join(joins)})"
        )
        return Sql.joined(", ", [*tables, Sql(resolved)])


def same_keys(table: str, references: Sequence[Reference]) -> str:
    """Return the condition that a row of the table points to what a resolved row does."""
    first, *others = [reference.column for reference in references]
    may_lack = [f" AND {table}.{key} IS NOT DISTINCT FROM resolved.{key}" for key in others]
    return f"{table}.{first} = resolved.{first}{''.join(may_lack)}"
