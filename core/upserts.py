"""Set-based upserts: any number of rows in one statement that tells created from updated.

The API's bulk operations and the import commands write through here. The number of statements does not
depend on the number of rows; rows are written in key order, so that two writers of the same rows wait for
each other instead of deadlocking.
"""

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db import connection

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
    columns = columns_of(target, [row[0] for row in rows])
    with connection.cursor() as cursor:
        cursor.execute(upsert_statement(target), [*columns, [row[1] for row in rows]])
        width = len(target.key)
        return {found[:width]: Written(*found[width:]) for found in cursor.fetchall()}


def upsert_statement(target: UpsertTarget) -> str:
    """Return the INSERT ... ON CONFLICT of a target, fed by one value a column, and by write counts."""
    names = list(target.columns)
    key = ", ".join(target.key)
    fed = ", ".join([*map(feed_of, target.columns.values()), "unnest(%s::integer[])"])
    updated = [name for name in names if name not in target.created_only and name not in target.key]
    assignments = ", ".join(f"{name} = excluded.{name}" for name in updated)
    return (
        f"INSERT INTO {target.table} AS stored ({', '.join(names)}, version)"
        f" SELECT {', '.join(values_of(target))}, {target.first_version} - 1 + writes"
        f" FROM ROWS FROM ({fed}) AS given ({', '.join(names)}, writes) ORDER BY {key}"
        f" ON CONFLICT ({key}) DO UPDATE SET {assignments},"
        f" version = stored.version + excluded.version - {target.first_version - 1}"
        f" RETURNING {key}, id, (xmax = 0), version"
    )


def insert_rows(target: UpsertTarget, rows: Sequence[Sequence[Any]]) -> dict[tuple[Any, ...], int]:
    """Insert the rows whose key is free, in one statement, and return the `id` that each of these keys got.

    A key that is missing in the answer was taken, perhaps by a writer who came in between. Rows and keys
    are as `upsert_rows` has them.
    """
    if not rows:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(insert_statement(target), columns_of(target, rows))
        width = len(target.key)
        return {found[:width]: found[width] for found in cursor.fetchall()}


def insert_statement(target: UpsertTarget) -> str:
    """Return the INSERT ... ON CONFLICT DO NOTHING of a target, fed by one value a column."""
    names = ", ".join(target.columns)
    key = ", ".join(target.key)
    fed = ", ".join(map(feed_of, target.columns.values()))
    return (
        f"INSERT INTO {target.table} ({names}, version)"
        f" SELECT {', '.join(values_of(target))}, {target.first_version}"
        f" FROM ROWS FROM ({fed}) AS given ({names}) ORDER BY {key}"
        f" ON CONFLICT ({key}) DO NOTHING RETURNING {key}, id"
    )


def columns_of(target: UpsertTarget, rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the rows turned round: one value a column, which `feed_of` reads."""
    columns: list[Any] = []
    for index, type_name in enumerate(target.columns.values()):
        values = [row[index] for row in rows]
        columns.append(json.dumps(values) if is_fed_as_json(type_name) else values)
    return columns


def feed_of(type_name: str) -> str:
    """Return the expression that yields a column's values, one a row.

    A column of jsonb is sent as one JSON list: to quote each value within an array takes longer than to
    write it.
    """
    if is_fed_as_json(type_name):
        return "jsonb_array_elements(%s::jsonb)"
    return f"unnest(%s::{type_name}[])"


def is_fed_as_json(type_name: str) -> bool:
    """Say whether values go in as JSON: jsonb, and lists, as unnest takes lists of a list for one list."""
    return type_name == "jsonb" or type_name.endswith("[]")


def values_of(target: UpsertTarget) -> list[str]:
    """Return the expressions that make a row's values out of what was fed."""
    return [
        f"ARRAY(SELECT jsonb_array_elements_text({name}))::{type_name}" if type_name.endswith("[]") else name
        for name, type_name in target.columns.items()
    ]
