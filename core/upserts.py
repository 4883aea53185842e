"""Set-based upserts: any number of rows in one statement that tells created from updated.

The API's bulk operations and the import commands write through here. The number of statements does not
depend on the number of rows; rows are written in key order, so that two writers of the same rows wait for
each other instead of deadlocking.
"""

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from psycopg.types.json import Jsonb

from core.api.sql import Sql, fetch_rows
from core.errors import DomainError, VersionConflict

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class UpsertTarget:
    """A table as bulk writes see it.

    `columns` maps the written columns to their PostgreSQL types, the version not among them. `key` are
    the columns of the unique constraint that identifies a row. Columns of `created_only` keep their value
    when a row is updated.
    """

    table: str
    key: tuple[str, ...]
    columns: Mapping[str, str]
    created_only: frozenset[str] = frozenset()
    first_version: int = 1


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one key: its row's key `id`, and whether the statement created it."""

    id: int
    created: bool
    version: int


@dataclass(slots=True)
class Outcome:
    """What became of one input row, in input order."""

    position: int
    created: bool = False
    id: str = ""
    error: DomainError | None = None


@dataclass(slots=True)
class Plan(Generic[Key, Row]):
    """The writes that a batch comes to: each key once, with its last row and how often it was written."""

    rows: dict[Key, Row] = field(default_factory=dict)
    writes: dict[Key, int] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    first_outcome: dict[Key, Outcome] = field(default_factory=dict)

    def refuse(self, position: int, error: DomainError, *, id: str = "") -> None:
        """Report a row that is not written."""
        self.outcomes.append(Outcome(position, id=id, error=error))

    def accept(
        self,
        position: int,
        key: Key,
        row: Row,
        *,
        stored_version: int | None,
        expected_version: int | None = None,
        first_version: int = 1,
        id: str = "",
    ) -> None:
        """Add a row to the writes, acting after the rows before it: the same key twice updates itself.

        `stored_version` is the version before the batch, None when the row is not stored. A row that
        expects another version than it meets is refused with VersionConflict.
        """
        writes = self.writes.get(key, 0)
        if stored_version is None:
            present = None if writes == 0 else first_version + writes - 1
        else:
            present = stored_version + writes
        if expected_version is not None and present is not None and expected_version != present:
            conflict = VersionConflict(expected=expected_version, stored=present, resource_id=id)
            self.refuse(position, conflict, id=id)
            return
        self.rows[key] = row
        self.writes[key] = writes + 1
        outcome = Outcome(position, created=present is None, id=id)
        self.outcomes.append(outcome)
        self.first_outcome.setdefault(key, outcome)

    def settle(self, written: Mapping[Key, Written]) -> None:
        """Correct what the statement found out: another writer may have created a row in between."""
        for key, outcome in self.first_outcome.items():
            outcome.created = written[key].created
        self.outcomes.sort(key=lambda outcome: outcome.position)


def upsert_rows(
    target: UpsertTarget, rows: Iterable[tuple[Sequence[Any], int]]
) -> dict[tuple[Any, ...], Written]:
    """Insert or update all rows in one statement and say what became of each key.

    Each row is its values in the order of `target.columns`, dictionaries and lists for jsonb columns, and
    how many writes it stands for: the version grows by that. Keys must be distinct. Runs inside the
    caller's transaction.
    """
    rows = list(rows)
    if not rows:
        return {}
    table = given_rows(target, [row[0] for row in rows], writes=[row[1] for row in rows])
    names = list(target.columns)
    key = ", ".join(target.key)
    updated = [name for name in names if name not in target.created_only and name not in target.key]
    assignments = ", ".join(f"{name} = excluded.{name}" for name in updated)
    statement = (
        f"INSERT INTO {target.table} AS stored ({', '.join(names)}, version)"
        f" SELECT {', '.join(values_of(target))}, {target.first_version} - 1 + writes"
        f" FROM {table.text} ORDER BY {key}"
        f" ON CONFLICT ({key}) DO UPDATE SET {assignments},"
        f" version = stored.version + excluded.version - {target.first_version - 1}"
        f" RETURNING {key}, id, (xmax = 0), version"
    )
    width = len(target.key)
    written = fetch_rows(Sql(statement, table.values), keeps_plan=True)
    return {found[:width]: Written(*found[width:]) for found in written}


def insert_rows(target: UpsertTarget, rows: Sequence[Sequence[Any]]) -> dict[tuple[Any, ...], int]:
    """Insert the rows whose key is free, in one statement, and return the `id` that each of these keys got.

    A key that is missing in the answer was taken, perhaps by a writer who came in between. Rows and keys
    are as `upsert_rows` has them.
    """
    if not rows:
        return {}
    table = given_rows(target, rows)
    key = ", ".join(target.key)
    statement = (
        f"INSERT INTO {target.table} ({', '.join(target.columns)}, version)"
        f" SELECT {', '.join(values_of(target))}, {target.first_version}"
        f" FROM {table.text} ORDER BY {key} ON CONFLICT ({key}) DO NOTHING RETURNING {key}, id"
    )
    width = len(target.key)
    inserted = fetch_rows(Sql(statement, table.values), keeps_plan=True)
    return {found[:width]: found[width] for found in inserted}


def given_rows(target: UpsertTarget, rows: Sequence[Sequence[Any]], *, writes: Sequence[int] = ()) -> Sql:
    """Return the rows as what a FROM reads, with the `writes` as a column more: one value for each column.

    A column with the same value in all rows, as most have, is sent as that value and not as a list.
    """
    lists, shared = [], []
    for index, (name, type_name) in enumerate(target.columns.items()):
        values = [row[index] for row in rows]
        if name != target.key[-1] and are_the_same(values, type_name):
            value = Jsonb(values[0]) if type_name == "jsonb" else values[0]
            shared.append(Sql(f"%s::{type_name} AS {name}", (value,)))
        elif is_fed_as_json(type_name):
            lists.append((name, Sql("jsonb_array_elements(%s::jsonb)", (json.dumps(values),))))
        else:
            lists.append((name, Sql(f"unnest(%s::{type_name}[])", (values,))))
    if writes:
        lists.append(("writes", Sql("unnest(%s::integer[])", (list(writes),))))
    names = ", ".join(name for name, _ in lists)
    fed = Sql.joined(", ", [feed for _, feed in lists])
    once = Sql.joined(", ", shared)
    return Sql(
        f"ROWS FROM ({fed.text}) AS given ({names}) CROSS JOIN (SELECT {once.text}) AS shared",
        (*fed.values, *once.values),
    )


def are_the_same(values: Sequence[Any], type_name: str) -> bool:
    """Say whether the values of a column need to be sent only once.

    In JSON only empty objects count as the same, since Python takes 1 for 1.0 and for true.
    """
    if type_name.endswith("[]"):
        return False
    first = {} if type_name == "jsonb" else values[0]
    return all(value == first for value in values)


def is_fed_as_json(type_name: str) -> bool:
    """Say whether values go in as one JSON list, one entry a row.

    So do those of jsonb: to quote each within an array takes longer than to write it. And so do lists, as
    unnest takes lists of a list for one list.
    """
    return type_name == "jsonb" or type_name.endswith("[]")


def values_of(target: UpsertTarget) -> list[str]:
    """Return the expressions that make a row's values out of what was fed."""
    return [
        f"ARRAY(SELECT jsonb_array_elements_text({name}))::{type_name}" if type_name.endswith("[]") else name
        for name, type_name in target.columns.items()
    ]
