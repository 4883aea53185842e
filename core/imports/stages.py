"""Temporary tables that rows are copied into, before statements over all of them at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import orjson
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

JSON = "jsonb"


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """Rows as COPY's text format has them: quicker than single rows, for whoever can write them so."""

    text: str
    count: int


def stage_rows(
    cursor: CursorWrapper,
    name: str,
    columns: Mapping[str, str],
    rows: Iterable[Sequence[object] | CopiedRows],
    *,
    is_kept: bool = False,
) -> int:
    """Copy rows into a new temporary table, which only this session sees; return how many there are.

    `columns` maps names to PostgreSQL types; a row holds its values in that order, jsonb as text. Needs a
    transaction, since a failed COPY ends one. The caller drops the table; one that `is_kept` outlives the
    transaction.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(f"The stage {name} needs a transaction.")
    described = ", ".join([f"{column} {kind}" for column, kind in columns.items()])
    ending = "PRESERVE ROWS" if is_kept else "DROP"
    cursor.execute(f"CREATE TEMPORARY TABLE {name} ({described}) ON COMMIT {ending}")
    count = 0
    # so that callers meet Django's errors, as of all other statements
    with (
        connection.wrap_database_errors,
        cursor.copy(f"COPY {name} ({', '.join(columns)}) FROM STDIN") as copy,
    ):
        for row in rows:
            if isinstance(row, CopiedRows):
                copy.write(row.text)
                count += row.count
            else:
                copy.write_row(row)
                count += 1
    # The planner knows nothing of a new table, and joins it row by row.
    cursor.execute(f"ANALYZE {name}")
    return count


def json_text(value: object) -> str:
    """Return a value as a jsonb column of a stage takes it."""
    return orjson.dumps(value).decode()


def nullable_json(value: object) -> str | None:
    """Return a value as a nullable jsonb column of a stage takes it: None is NULL."""
    return None if value is None else json_text(value)
