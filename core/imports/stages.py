"""Temporary tables that rows are copied into, before statements over all of them at once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
from django.db import connection, transaction

JSON = "jsonb"


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """Rows as COPY's text format has them: quicker than single rows, for whoever can write them so."""

    text: str
    count: int


@contextmanager
def staged(
    name: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[object] | CopiedRows],
    *,
    analyze: bool = True,
    is_kept: bool = False,
) -> Iterator[int]:
    """Copy rows into a new temporary table and drop it in the end; yields how many rows there are.

    `columns` maps names to PostgreSQL types; a row holds its values in that order, jsonb as text. The table
    is seen only by this session. Needs a transaction, since a failed COPY ends one. A table that `is_kept`
    outlives it, and is dropped by the caller.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(f"The stage {name} needs a transaction.")
    described = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    ending = "PRESERVE ROWS" if is_kept else "DROP"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {name} ({described}) ON COMMIT {ending}")
        count = 0
        # psycopg's own errors would pass whoever knows those of Django
        with (
            connection.wrap_database_errors,
            cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as copy,
        ):
            write = copy.write_row
            for row in rows:
                if isinstance(row, CopiedRows):
                    copy.write(row.text)
                    count += row.count
                else:
                    write(row)
                    count += 1
        if analyze:  # the planner knows nothing of a new table, and joins it row by row
            cursor.execute(f"ANALYZE {name}")
        yield count
        if not is_kept:
            cursor.execute(f"DROP TABLE {name}")


def json_text(value: object) -> str:
    """Return a value as a jsonb column of a stage takes it."""
    return orjson.dumps(value).decode()


def nullable_json(value: object) -> str | None:
    """Return a value as a nullable jsonb column of a stage takes it: None is NULL."""
    return None if value is None else json_text(value)
