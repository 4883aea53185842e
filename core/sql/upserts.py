"""Set-based upserts: any number of rows in one statement that reports each as created or updated.

The API's bulk operations and the import commands write through here. The number of statements does not
depend on the number of rows; rows are written in key order, so that two writers of the same rows wait for
each other instead of deadlocking.
"""

import json
import re
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, Self, TypeVar

import orjson
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from psycopg.types.json import Jsonb

from core.errors import DomainError, VersionConflict
from core.sql.composition import Sql, SqlValues, identifier, identifiers, integer, param, sql, type_of
from core.sql.fetching import fetch_rows

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")
Given = TypeVar("Given")


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

    @classmethod
    def of(
        cls,
        model: type[models.Model],
        *key: str,
        created_only: Collection[str] = (),
        leaves_out: Collection[str] = ("id",),
        first_version: int = 1,
    ) -> Self:
        """Return the table of a model, whose columns and types are those of its fields.

        `key` names the columns of the unique constraint. The version is never among the columns, and
        `created_at` is always created only.
        """
        columns = {
            field.column: column_type(field)
            for field in model._meta.concrete_fields
            if field.column != "version" and field.column not in leaves_out
        }
        created = {"created_at", *created_only} & columns.keys()
        return cls(model._meta.db_table, key, columns, frozenset(created), first_version)

    def are_created(self, versions: Iterable[int | None], writes: Iterable[int]) -> list[bool | None]:
        """Say of each row whether so many writes created it, by the version that it has now.

        A row that was stored before has a higher one; None for a row without a version. (PostgreSQL's
        `xmax = 0` says the same, but not of a row of a partitioned table.)
        """
        before = self.first_version - 1
        return [
            None if version is None else version == before + count
            for version, count in zip(versions, writes, strict=True)
        ]


COLUMN_TYPES = {"varchar": "text", "timestamp with time zone": "timestamptz"}


def column_type(field: models.Field) -> str:
    """Return the PostgreSQL type of a field's values in arrays and casts: without a length or precision."""
    declared = str(field.db_type(connection)).removesuffix("[]")
    bare = re.sub(r"\(.*\)", "", declared)
    type_name = {"varchar": "text", "timestamp with time zone": "timestamptz", "serial": "integer"}.get(
        bare, bare
    )
    return f"{type_name}[]" if isinstance(field, ArrayField) else type_name


class BodyColumns:
    """Reads rows of a table from bodies of a kind: each column is the body's attribute of the same name.

    A column that the body does not have, or that it leaves out, gets the model's default, so a new field
    needs no code here; what is no column of the model has no default. `parts` are those of the bodies
    (core.bodies.Body). Columns in `texts` hold JSON, which is read as text.
    """

    def __init__(
        self,
        model: type[models.Model],
        kind: type[object],
        columns: Iterable[str],
        *,
        parts: Mapping[str, str],
        texts: Collection[str] = (),
    ) -> None:
        self.texts = frozenset(texts)
        fields = {field.column: field for field in model._meta.concrete_fields}
        self.defaults = {name: default_of(fields[name]) if name in fields else None for name in columns}
        self.readers = {name: attrgetter(name) for name in self.defaults if hasattr(kind, name)}
        self.parts = {name: attrgetter(part) for name, part in parts.items()}

    def values(self, body: object, **known: object) -> list[object]:
        """Return the values of the columns, in their order; `known` are those that the body does not say."""
        return [value for [value] in self.read([body], **known)]

    def read(self, bodies: Sequence[object], **known: object) -> list[list[object]]:
        """Return each column's values in all bodies; `known` are the same for all."""
        columns = []
        for name, default in {**self.defaults, **known}.items():
            reader, part = self.readers.get(name), self.parts.get(name)
            # Most bodies leave most parts out: to ask each for what is in them takes ten times as long.
            if reader is None or (part is not None and not any(map(part, bodies))):
                values = [default] * len(bodies)
            else:
                values = list(map(reader, bodies))
                if None in values and default is not None:
                    values = [default if value is None else value for value in values]
            if name in self.texts:
                values = [None if value is None else orjson.dumps(value).decode() for value in values]
            columns.append(values)
        return columns


def default_of(field: models.Field) -> object:
    """Return the default of a column; None for one that has none, or is an instant that the write says."""
    if not field.has_default() or isinstance(field, models.DateTimeField):
        return None
    return field.get_default()


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """The result of one key: its row's key `id`, and whether the statement created it."""

    id: int
    created: bool
    version: int


@dataclass(slots=True)
class RowResult:
    """The result of one input row, in input order."""

    position: int
    created: bool = False
    id: str = ""
    error: DomainError | None = None


@dataclass(slots=True)
class BatchPlan(Generic[Key, Row]):
    """The writes of a batch: each key once, with its last row and how often it was written."""

    rows: dict[Key, Row] = field(default_factory=dict)
    writes: dict[Key, int] = field(default_factory=dict)
    results: list[RowResult] = field(default_factory=list)
    results_of: dict[Key, list[RowResult]] = field(default_factory=dict)

    def reject(self, position: int, error: DomainError, *, id: str = "") -> None:
        """Report a row that is not written."""
        self.results.append(RowResult(position, id=id, error=error))

    def accepted(self, rows: Iterable[Given | DomainError]) -> list[tuple[int, Given]]:
        """Return the rows that could be read, with their positions; reject the others."""
        found = []
        for position, row in enumerate(rows):
            if isinstance(row, DomainError):
                self.reject(position, row)
            else:
                found.append((position, row))
        return found

    def add(
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
        expects another version than it meets is rejected with VersionConflict.
        """
        writes = self.writes.get(key, 0)
        if stored_version is None:
            present = None if writes == 0 else first_version + writes - 1
        else:
            present = stored_version + writes
        if expected_version is not None and present is not None and expected_version != present:
            conflict = VersionConflict(expected=expected_version, stored=present, resource_id=id)
            self.reject(position, conflict, id=id)
            return
        self.rows[key] = row
        self.writes[key] = writes + 1
        result = RowResult(position, created=present is None, id=id)
        self.results.append(result)
        self.results_of.setdefault(key, []).append(result)

    def add_all(self, rows: Sequence[Row | DomainError], names: Sequence[str]) -> None:
        """Add rows that expect no version, and reject the errors among them.

        The key of a row are its attributes of these names. `record_in_order()` fills in created or updated
        afterwards.
        """
        results, results_of, writes = self.results, self.results_of, self.writes
        accepted = self.accepted(rows)
        columns = [[getattr(row, name) for _, row in accepted] for name in names]
        keys: Iterator[Any] = zip(*columns, strict=True)
        for (position, row), key in zip(accepted, keys, strict=True):
            result = RowResult(position)
            results.append(result)
            if key in results_of:
                results_of[key].append(result)
                writes[key] += 1
            else:
                results_of[key] = [result]
                writes[key] = 1
            self.rows[key] = row

    def record(self, written: Mapping[Key, UpsertResult]) -> None:
        """Fill in what the statement did: another writer may have created a row in between."""
        self.record_in_order(written[key].created for key in self.rows)

    def record_in_order(self, outcomes: Iterable[bool | DomainError]) -> None:
        """Fill in for each of the `rows`, in their order, whether it was created or why it was rejected."""
        for results, outcome in zip(self.results_of.values(), outcomes, strict=True):
            if isinstance(outcome, DomainError):
                for result in results:
                    result.created, result.error = False, outcome
            else:
                results[0].created = outcome
        self.results.sort(key=attrgetter("position"))


def only_outcome(outcomes: Sequence[RowResult]) -> RowResult:
    """Return the outcome of a batch of one row; raise its error if it was refused."""
    [outcome] = outcomes
    if outcome.error:
        raise outcome.error
    return outcome


def upsert_rows(
    target: UpsertTarget, rows: Iterable[tuple[Sequence[object], int]]
) -> dict[SqlValues, UpsertResult]:
    """Insert or update all rows in one statement and return the result of each key.

    Each row is its values in the order of `target.columns`, dictionaries and lists for jsonb columns, and
    the number of writes it combines: the version grows by that. Keys must be distinct. Runs inside the
    caller's transaction.
    """
    rows = list(rows)
    if not rows:
        return {}
    statement = upsert_statement(target, [row for row, _ in rows], [writes for _, writes in rows])
    width = len(target.key)
    places = [[*target.columns].index(name) for name in target.key]
    writes_of = {tuple([row[place] for place in places]): writes for row, writes in rows}
    found = fetch_rows(statement, prepared=True)
    created = target.are_created([row[-1] for row in found], [writes_of[row[:width]] for row in found])
    return {
        row[:width]: UpsertResult(row[-2], bool(is_new), row[-1])
        for row, is_new in zip(found, created, strict=True)
    }


def upsert_statement(target: UpsertTarget, rows: Sequence[Sequence[object]], writes: Sequence[int]) -> Sql:
    """Return the statement of `upsert_rows`."""
    lists, shared = given_columns(target.columns, [*zip(*rows, strict=True)], writes, listed=target.key[-1:])
    key = identifiers(target.key)
    source = sql(
        "SELECT {values}, {version} FROM {lists} CROSS JOIN {shared} ORDER BY {key}",
        values=values_of(target.columns),
        version=version_of_new(target),
        lists=lists,
        shared=shared,
        key=key,
    )
    returning = sql("{key}, id, version", key=key)
    return upsert(target, list(target.columns), source, returning=returning)


def upsert(target: UpsertTarget, columns: Sequence[str], source: Sql, *, returning: Sql) -> Sql:
    """Return the statement that inserts what `source` selects: the columns, then `version_of_new`.

    A row that is already stored is updated, and its version grows by the number of writes.
    """
    updated = [name for name in columns if name not in target.created_only and name not in target.key]
    return sql(
        "INSERT INTO {table} AS stored ({columns}, version) {source}"
        " ON CONFLICT ({key}) DO UPDATE SET {assignments},"
        " version = stored.version + excluded.version - {before_first}"
        " RETURNING {returning}",
        table=identifier(target.table),
        columns=identifiers(columns),
        source=source,
        key=identifiers(target.key),
        assignments=Sql.joined(
            ", ", [sql("{name} = excluded.{name}", name=identifier(name)) for name in updated]
        ),
        before_first=integer(target.first_version - 1),
        returning=returning,
    )


def version_of_new(target: UpsertTarget) -> Sql:
    """Return the expression for the version of a row that is created by so many `writes`."""
    return sql("{before_first} + writes", before_first=integer(target.first_version - 1))


def insert_rows(target: UpsertTarget, rows: Sequence[Sequence[object]]) -> dict[SqlValues, int]:
    """Insert the rows whose key is free, in one statement, and return the `id` that each of these keys got.

    A key that is missing in the answer was taken, perhaps by a writer who came in between. Rows and keys
    are as `upsert_rows` has them.
    """
    if not rows:
        return {}
    lists, shared = given_columns(target.columns, [*zip(*rows, strict=True)], listed=target.key[-1:])
    statement = sql(
        "INSERT INTO {table} ({columns}, version)"
        " SELECT {values}, {first_version} FROM {lists} CROSS JOIN {shared} ORDER BY {key}"
        " ON CONFLICT ({key}) DO NOTHING RETURNING {key}, id",
        table=identifier(target.table),
        columns=identifiers(target.columns),
        values=values_of(target.columns),
        first_version=integer(target.first_version),
        lists=lists,
        shared=shared,
        key=identifiers(target.key),
    )
    width = len(target.key)
    inserted = fetch_rows(statement, prepared=True)
    return {found[:width]: found[width] for found in inserted}


def given_columns(
    columns: Mapping[str, str],
    values: Sequence[Sequence[object]],
    writes: Sequence[int] = (),
    *,
    listed: Collection[str],
) -> tuple[Sql, Sql]:
    """Return two items for a FROM: the columns whose values differ, and one row of those that are equal.

    `values` are those of each column. Most columns have the same value in all rows, which is then sent once;
    those `listed` are always lists. `writes` and the `ordinality` of each row, starting with 1, are further
    columns.
    """
    fields = [*zip(columns.items(), values, strict=True)]
    if writes:
        fields.append((("writes", "integer"), writes))
    kinds, lists, shared = [], [], []
    for (name, type_name), given in fields:
        if name not in listed and are_the_same(given, type_name):
            kinds.append((name, type_name, ""))
            shared.append(as_jsonb(given[0]) if type_name == "jsonb" else given[0])
        else:
            function, value_type, value = as_list(given, type_name)
            kinds.append((name, value_type, function))
            lists.append(value)
    texts = given_texts(tuple(kinds))
    return Sql(texts[0], tuple(lists)), Sql(texts[1], tuple(shared))


@lru_cache(maxsize=256)
def given_texts(kinds: tuple[tuple[str, str, str], ...]) -> tuple[str, str]:
    """Return the texts of `given_columns`.

    A kind is a column's name, the type of its parameter, and the function that makes rows of that: none for
    a column that has one value.
    """
    lists, names, shared = [], [], []
    for name, type_name, function in kinds:
        if function:
            names.append(name)
            lists.append(
                sql("{function}({value})", function=identifier(function), value=param(None, type_name))
            )
        else:
            shared.append(sql("{value} AS {name}", value=param(None, type_name), name=identifier(name)))
    given = sql(
        "ROWS FROM ({lists}) WITH ORDINALITY AS given ({names}, ordinality)",
        lists=Sql.joined(", ", lists),
        names=identifiers(names),
    )
    return given.sql, sql("(SELECT {values}) AS shared", values=Sql.joined(", ", shared)).sql


def are_the_same(values: Sequence[object], type_name: str) -> bool:
    """Say whether the values of a column need to be sent only once.

    In JSON only empty objects and NULL count as the same, since Python takes 1 for 1.0 and for true.
    """
    if type_name.endswith("[]"):
        return False
    first = {} if type_name == "jsonb" and values[0] is not None else values[0]
    return values.count(first) == len(values)


def as_list(values: Sequence[object], type_name: str) -> tuple[str, str, object]:
    """Return how a column's values are sent: the function that makes rows, its parameter's type and value.

    Texts, jsonb and lists are one JSON list: quoting each text within an array takes longer than writing
    JSON, and `unnest` would flatten a list of lists.
    """
    if type_name == "text":
        return "jsonb_array_elements_text", "jsonb", json.dumps(values)
    if type_name == "jsonb" and None in values:
        return "unnest", "jsonb[]", [as_jsonb(value) for value in values]
    if type_name == "jsonb" or type_name.endswith("[]"):
        return "jsonb_array_elements", "jsonb", json.dumps(values)
    return "unnest", f"{type_name}[]", list(values)


def as_jsonb(value: object) -> Jsonb | None:
    """Return a value as a parameter of type jsonb; None is NULL, not JSON's null."""
    return None if value is None else Jsonb(value)


def values_of(columns: Mapping[str, str]) -> Sql:
    """Return the expressions of a row's values, from the columns that `given_columns` names."""
    values = []
    for name, type_name in columns.items():
        value = identifier(name)
        if type_name.endswith("[]"):
            template = "ARRAY(SELECT jsonb_array_elements_text({value}))::{type}"
            value = sql(template, value=value, type=type_of(type_name))
        values.append(value)
    return Sql.joined(", ", values)
