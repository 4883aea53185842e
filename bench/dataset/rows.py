"""Writes generated rows: a SELECT names what matters, the model's own defaults fill the rest."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db import connection, models
from psycopg.types.json import Jsonb

CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def insert_rows(
    model: type[models.Model], columns: Mapping[str, str], source: str, values: Mapping[str, Any]
) -> None:
    """Insert one row for each row of `source`, the FROM clause.

    `columns` maps columns to expressions over the source. Columns that are not named get their field's
    default; instants are all the same, so that two data sets of one scale are equal.
    """
    named = dict(columns)
    filled = dict(values)
    for field in model._meta.local_concrete_fields:
        if field.column in named or field.null or field.primary_key:
            continue
        named[field.column] = f"%(default_{field.column})s"
        filled[f"default_{field.column}"] = default_of(field)
    statement = (
        f"INSERT INTO {model._meta.db_table} ({', '.join(named)}) SELECT {', '.join(named.values())} {source}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, filled)


def default_of(field: models.Field) -> Any:
    """Return the value of a column that nobody named."""
    if isinstance(field, models.DateTimeField):
        return CREATED_AT
    default = field.get_default()
    return Jsonb(default) if isinstance(field, models.JSONField) else default


@contextmanager
def indexes_built_afterwards() -> Iterator[None]:
    """Take all indexes and constraints but the primary keys away, and build them when the block ends.

    Millions of rows are written many times quicker so, and the indexes come out dense.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid), contype"
            " FROM pg_constraint WHERE contype IN ('f', 'u') AND connamespace = 'public'::regnamespace"
            " ORDER BY contype = 'u', conname"
        )
        constraints = cursor.fetchall()
        for table, name, _, _ in constraints:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE relnamespace = 'public'::regnamespace AND NOT indisprimary"
            # those of partitions belong to the partitioned table, whose few rows do not matter
            " AND relkind = 'i' AND NOT relispartition ORDER BY 1"
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
    yield
    with connection.cursor() as cursor:
        for _, definition in indexes:
            cursor.execute(definition)
        for table, name, definition, _ in reversed(
            constraints
        ):  # unique ones before those that refer to them
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


def continue_numbering() -> None:
    """Let the key sequences go on after the keys that were given."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND is_identity = 'YES'"
        )
        for table, column in cursor.fetchall():
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence(%s, %s), coalesce(max({column}), 1)) FROM {table}",
                [table, column],
            )
