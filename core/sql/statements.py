"""Pieces of SQL statements: text of ours with placeholders, and the values that go into them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import QuerySet

from core.sql.cursors import MOST_ROWS, CursorsOfThread

cursors = CursorsOfThread()


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of a statement. `text` is never made of what a client sent: that goes into `values`."""

    text: str
    values: tuple[Any, ...] = ()

    @classmethod
    def joined(cls, separator: str, pieces: Iterable[Self]) -> Self:
        """Return the pieces as one, the separator between their texts."""
        pieces = list(pieces)
        return cls(
            separator.join(piece.text for piece in pieces),
            tuple(value for piece in pieces for value in piece.values),
        )


def expression(value: Any) -> Sql:
    """Return an expression as it is, and of anything else a placeholder with that value."""
    return value if isinstance(value, Sql) else Sql("%s", (value,))


def text_array(texts: Sequence[str]) -> Sql:
    """An expression of type `text[]`: these texts. Long lists travel as JSON, which is quicker to write."""
    return Sql("ARRAY(SELECT jsonb_array_elements_text(%s::jsonb))", (orjson.dumps(list(texts)).decode(),))


def in_queryset(column: str, queryset: QuerySet) -> Sql:
    """A condition: the column holds a key of the queryset's rows."""
    text, values = queryset.order_by().values("pk").query.sql_with_params()
    return Sql(f"{column} IN ({text})", tuple(values))


def fetch_rows(
    statement: Sql, *, using: str = DEFAULT_DB_ALIAS, keeps_plan: bool = False
) -> list[tuple[Any, ...]]:
    """Run one statement and return all its rows.

    With `keeps_plan` a web worker's connection that has sent the same text some times has PostgreSQL keep
    one plan for it, whatever the values: to plan one of our statements takes as long as to run it. That is
    for statements sent all the time whose best plan does not depend on the values, so not for those of a
    search or with long lists of ids. The values travel apart from the text, and PostgreSQL must be able to
    tell their types from it. tests/bench/test_plans.py looks at these plans.
    """
    connection = connections[using]
    if not keeps_plan:
        with connection.cursor() as cursor:
            cursor.execute(statement.text, statement.values)
            return cursor.fetchall()
    connection.ensure_connection()
    own: Any
    own, text = cursors.cursor_for(connection.connection, statement.text)
    if connection.queries_logged:
        own = connection.make_debug_cursor(own)
    elif connection.execute_wrappers:
        own = connection.make_cursor(own)
    else:  # nobody listens, so that Django's own cursor would add no more than this
        connection.validate_no_broken_transaction()
    with connection.wrap_database_errors:
        own.execute(text, statement.values)
        rows = own.fetchall()
    if len(rows) > MOST_ROWS:
        cursors.forget(text)
    return rows
