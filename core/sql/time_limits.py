"""Reads that give up after some time, so that a page shows "more than" rather than wait."""

from django.db import OperationalError, transaction
from psycopg import errors as postgres

from core.sql.composition import Sql, SqlValues, param, sql
from core.sql.fetching import fetch_rows

ONE_SECOND = 1_000  # milliseconds


def fetch_within(statement: Sql, *, milliseconds: int = ONE_SECOND) -> list[SqlValues] | None:
    """Run one statement that only reads and return all its rows; None when it takes longer than that.

    The statement timeout is afterwards what it was, also inside a transaction.
    """
    try:
        with transaction.atomic():
            [(before, _)] = fetch_rows(
                sql(
                    "SELECT current_setting('statement_timeout'),"
                    " set_config('statement_timeout', {limit}, true)",
                    limit=param(f"{milliseconds}ms", "text"),
                )
            )
            rows = fetch_rows(statement)
            fetch_rows(sql("SELECT set_config('statement_timeout', {before}, true)", before=param(before)))
            return rows
    except OperationalError as error:
        if isinstance(error.__cause__, postgres.QueryCanceled):
            return None
        raise
