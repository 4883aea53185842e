"""Finds the lines of a file among which unique values change hands, so that one transaction applies them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from django.db import connection, transaction

from core.imports.merge import stage_rows
from core.imports.rows import Record
from core.json_types import JsonMapping
from core.text import normalized, trimmed

CLAIMS = "import_claims"
COLUMNS = {"line": "bigint", "id": "text", "value": "text", "above": "text"}
ANYWHERE = "*"
"""What a row is below when that is not said by an id."""


@dataclass(frozen=True, slots=True)
class UniqueValues:
    """The unique values of a kind of row, beside its id.

    `values` returns those of a body; equal ones are equal whatever their case. `holders` is a SELECT of
    `value` and `id` of what a tenant (`%(tenant)s`) has stored. `above` returns the id of what a row hangs
    below, which has to come before it or along with it; ANYWHERE when it is named otherwise.
    """

    values: Callable[[JsonMapping], Sequence[str]]
    holders: str
    above: Callable[[JsonMapping], str | None] = lambda body: None


def texts_of(value: object) -> list[str]:
    """Return the texts of a member that is one, or a list of them; what else it is, reading it finds out."""
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str) and text]


def lines_to_apply_together(
    records: Iterable[Record], unique: UniqueValues, *, tenant_id: int, rows_at_once: int
) -> list[int]:
    """Return the lines of rows that take a value from another row of the file, and of those other rows.

    Rows that these hang below come along. Empty for a file that is one batch anyway. The rows are kept in a
    temporary table.
    """
    records = iter(records)
    first = list(islice(records, rows_at_once))
    if (following := next(records, None)) is None:
        return []
    claims = _claims(chain(first, [following], records), unique)
    with transaction.atomic(), connection.cursor() as cursor:
        stage_rows(cursor, CLAIMS, COLUMNS, claims)
        cursor.execute(
            f"WITH RECURSIVE holder AS MATERIALIZED (SELECT DISTINCT lower(value) AS value, id"
            f" FROM ({unique.holders}) AS stored"
            f" WHERE lower(value) IN (SELECT lower(value) FROM {CLAIMS})),"
            f" pair AS MATERIALIZED (SELECT claim.id AS taker, holder.id AS giver FROM {CLAIMS} AS claim"
            " JOIN holder ON holder.value = lower(claim.value) AND holder.id <> claim.id"
            f" WHERE holder.id IN (SELECT id FROM {CLAIMS})),"
            " together AS (SELECT taker AS id FROM pair UNION SELECT giver FROM pair"
            f" UNION SELECT claim.above FROM {CLAIMS} AS claim JOIN together USING (id)"
            " WHERE claim.above IS NOT NULL)"
            f" SELECT DISTINCT line FROM {CLAIMS} WHERE id IN (SELECT id FROM together)"
            f" OR (SELECT '{ANYWHERE}' IN (SELECT id FROM together)) ORDER BY line",
            {"tenant": tenant_id},
        )
        lines = [line for (line,) in cursor.fetchall()]
        cursor.execute(f"DROP TABLE {CLAIMS}")
        return lines


def _claims(records: Iterable[Record], unique: UniqueValues) -> Iterator[Sequence[object]]:
    for record in records:
        name = (record.body or {}).get("id")
        if record.body is not None and isinstance(name, str):
            above = unique.above(record.body)
            for value in unique.values(record.body) or (None,):
                yield (record.line, name, None if value is None else normalized(trimmed(value)), above)
