"""Private copies of tables, so that a dry run can write without holding a lock that others wait for.

A temporary table hides the table of the same name from its own session, since PostgreSQL looks into the
schema of temporary tables first. An operation that runs while its tables are hidden reads, locks and writes
the copies, by the same statements as ever.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.sql.locks import unlocked


class Rows(Enum):
    """Which rows of a table its copy has."""

    OF_TENANT = "tenant_id"
    THE_TENANT = "id"
    NONE = ""


@contextmanager
def shadowed(tables: Mapping[str, Rows], tenant_id: int) -> Iterator[None]:
    """Hide the tables behind copies of the tenant's rows, and roll everything back in the end.

    Meanwhile this session reads and writes the copies and takes no advisory lock; nobody else sees or waits
    for any of it. The copies have the columns, checks and unique indexes of the tables, no foreign keys and
    no triggers: name every table that the operation writes to or locks rows of.
    """
    with transaction.atomic(), unlocked(), connection.cursor() as cursor:
        for table, rows in tables.items():
            _shadow(cursor, table, rows, tenant_id)
        yield
        transaction.set_rollback(True)


def _shadow(cursor: CursorWrapper, table: str, rows: Rows, tenant_id: int) -> None:
    cursor.execute(
        "SELECT schema.nspname FROM pg_class JOIN pg_namespace AS schema ON schema.oid = relnamespace"
        " WHERE pg_class.oid = %s::regclass",
        [table],
    )
    [(schema,)] = cursor.fetchall()
    original, copy = f'"{schema}".{table}', f"pg_temp.{table}"
    cursor.execute(
        "SELECT indexdef FROM pg_indexes JOIN pg_class ON relname = indexname"
        " JOIN pg_am ON pg_am.oid = relam WHERE schemaname = %s AND tablename = %s AND amname = 'btree'",
        [schema, table],
    )
    indexes = [definition for (definition,) in cursor.fetchall()]
    cursor.execute(
        f"CREATE TEMPORARY TABLE {table} (LIKE {original} INCLUDING DEFAULTS INCLUDING CONSTRAINTS"
        " INCLUDING IDENTITY INCLUDING GENERATED) ON COMMIT DROP"
    )
    if rows is not Rows.NONE:
        cursor.execute(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            [original],
        )
        [(columns,)] = cursor.fetchall()
        cursor.execute(
            f"INSERT INTO {copy} ({columns}) SELECT {columns} FROM {original} WHERE {rows.value} = %s",
            [tenant_id],
        )
    for definition in indexes:
        cursor.execute(re.sub(r" ON (ONLY )?\S+ USING ", f" ON {copy} USING ", definition, count=1))
    cursor.execute(f"ANALYZE {copy}")
    cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [copy])
    [(sequence,)] = cursor.fetchall()
    if sequence is not None:
        cursor.execute(f"SELECT setval(%s, coalesce(max(id), 0) + 1, false) FROM {copy}", [sequence])
