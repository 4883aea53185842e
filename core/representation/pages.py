"""Lists: page numbers, cursors, order and counts, for every resource alike."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Self

import orjson
from django.conf import settings

from core.errors import InvalidInput
from core.representation.fields import Languages
from core.representation.representations import Representation, SortKey
from core.sql.statements import Sql, fetch_rows

LARGEST_PAGE = 1000
LARGEST_OFFSET = 10_000_000


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of a list a client asks for, and how it wants the rows.

    At most one of `number`, `after` and `before` is set; `fields` empty means all of them.
    """

    size: int = 60
    number: int | None = None
    after: str | None = None
    before: str | None = None
    sort: str = ""
    fields: tuple[str, ...] = ()
    languages: Languages = Languages()
    wants_count: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as JSON texts, and where the list goes on."""

    documents: Sequence[str]
    next_cursor: str | None = None
    previous_cursor: str | None = None
    count: int | None = None

    @property
    def body(self) -> str:
        return f"[{','.join(self.documents)}]"


@dataclass(frozen=True, slots=True)
class Parts:
    """A list that is the union of parts: the rows whose `column` holds one of the keys.

    `keys` is what a FROM names, of one column that holds each key once. An index over (tenant, column, id)
    makes a page in the order of ids cost the same however long the parts are: it is merged from the
    beginnings of all of them.
    """

    column: str
    keys: Sql

    @classmethod
    def of_keys(cls, column: str, keys: Sequence[int]) -> Self:
        """Return the parts of these keys."""
        return cls(column, Sql("unnest(%s::bigint[])", (list(keys),)))

    @classmethod
    def of_selection(cls, column: str, selection: Sql) -> Self:
        """Return the parts whose keys a SELECT selects, each once."""
        return cls(column, Sql(f"({selection.text})", selection.values))

    def condition(self, alias: str) -> Sql:
        """The condition that a row is in any of the parts."""
        return Sql(
            f"{alias}.{self.column} IN (SELECT part.key FROM {self.keys.text} AS part (key))",
            self.keys.values,
        )


def fetch_page(
    representation: Representation,
    page: PageRequest,
    conditions: Sequence[Sql],
    needs: set[str],
    *,
    order: Sequence[SortKey] = (),
    parts: Parts | None = None,
    keeps_plan: bool = False,
) -> Page:
    """Return one page of the rows that meet all conditions, with `parts` only those of the parts.

    Takes one statement, and one more when the count is wanted. `needs` are the joins that the conditions
    use. The order is total: what the client sorts by, or else `order`, then the key. `keeps_plan` as in
    `fetch_rows`.
    """
    keys, sort_needs = representation.sort_keys(page.sort, page.languages)
    keys = keys or list(order)
    alias = representation.alias
    keys.append(SortKey(Sql(f"{alias}.id"), "bigint"))
    backwards = page.before is not None
    cursor_text = page.after if page.after is not None else page.before
    where = list(conditions)
    merged = parts if len(keys) == 1 else None
    if parts is not None:
        conditions = [parts.condition(alias), *conditions]
        where.insert(0, Sql(f"{alias}.{parts.column} = part.key") if merged else conditions[0])
    if cursor_text is not None:
        where.append(beyond(keys, read_cursor(cursor_text, page.sort, len(keys)), backwards))
    offset = ((page.number or 1) - 1) * page.size
    inner_joins = representation.joined(needs | sort_needs)
    statement = page_statement(
        representation, page, keys, where, inner_joins, offset=offset, backwards=backwards, parts=merged
    )
    rows = fetch_rows(statement, keeps_plan=keeps_plan)
    has_more = len(rows) > page.size
    rows = rows[: page.size]
    if backwards:
        rows.reverse()
    if backwards:
        has_next, has_previous = bool(rows), has_more
    else:
        has_next, has_previous = has_more, bool(rows) and is_later(page)
    return Page(
        documents=[row[0] for row in rows],
        next_cursor=write_cursor(rows[-1][1:], page.sort) if has_next else None,
        previous_cursor=write_cursor(rows[0][1:], page.sort) if has_previous else None,
        count=count_rows(representation, conditions, needs) if page.wants_count else None,
    )


def is_later(page: PageRequest) -> bool:
    """Say whether rows come before a page that was reached forwards."""
    return page.after is not None or (page.number or 1) > 1


def page_statement(
    representation: Representation,
    page: PageRequest,
    keys: Sequence[SortKey],
    where: Sequence[Sql],
    inner_joins: str,
    *,
    offset: int,
    backwards: bool,
    parts: Parts | None = None,
) -> Sql:
    """Return the statement of a page: first cut it, then join and write what is shown of its rows.

    A row of it is its JSON, and what the row is sorted by as texts. With `parts`, whose condition names
    `part.key`, keys alone are cut, from the beginnings of all parts.
    """
    alias, table = representation.alias, representation.table
    names = representation.kept_fields(page.fields)
    document = representation.document(names, page.languages)
    order = ", ".join(
        f"sort_{index} {'DESC' if key.descending != backwards else 'ASC'}" for index, key in enumerate(keys)
    )
    places = ", ".join(f"sort_{index}::text AS place_{index}" for index in range(len(keys)))
    sort_columns = Sql.joined(
        ", ", [Sql(f"{key.sql.text} AS sort_{index}", key.sql.values) for index, key in enumerate(keys)]
    )
    condition = Sql.joined(" AND ", where) if where else Sql("TRUE")
    rows = Sql(
        f"{sort_columns.text} FROM {table} AS {alias}{inner_joins} WHERE {condition.text} ORDER BY {order}",
        (*sort_columns.values, *condition.values),
    )
    # a limit among the values would be unknown to a plan that is kept, which would fetch all rows
    limit = page.size + 1
    if parts is None:
        source = Sql(f"(SELECT {alias}.*, {rows.text} LIMIT {limit:d} OFFSET %s) AS {alias}", rows.values)
    else:
        source = Sql(
            f"(SELECT sort_0 FROM {parts.keys.text} AS part (key)"
            f" CROSS JOIN LATERAL (SELECT {rows.text} LIMIT {offset + limit:d}) AS beginning"
            f" ORDER BY {order} LIMIT {limit:d} OFFSET %s) AS place"
            f" JOIN {table} AS {alias} ON {alias}.id = place.sort_0",
            (*parts.keys.values, *rows.values),
        )
    return Sql(
        f"SELECT {document.text}, {places} FROM {source.text}"
        f"{representation.joined(representation.needs_of(names))} ORDER BY {order}",
        (*document.values, *source.values, offset),
    )


def count_rows(representation: Representation, conditions: Sequence[Sql], needs: set[str]) -> int:
    """Return how many rows meet all conditions."""
    condition = Sql.joined(" AND ", conditions) if conditions else Sql("TRUE")
    [(count,)] = fetch_rows(
        Sql(
            f"SELECT count(*) FROM {representation.table} AS {representation.alias}"
            f"{representation.joined(needs)} WHERE {condition.text}",
            condition.values,
        )
    )
    return count


def beyond(keys: Sequence[SortKey], values: Sequence[str | None], backwards: bool) -> Sql:
    """Return the condition that a row stands after (or before) the row of a cursor.

    NULL sorts as PostgreSQL does by default: last in ascending order, first in descending order.
    """
    key, value = keys[0], values[0]
    descending = key.descending != backwards
    sql, placeholder = key.sql, f"%s::text::{key.type}"
    if len(keys) == 1:
        return Sql(f"{sql.text} {'<' if descending else '>'} {placeholder}", (*sql.values, value))
    rest = beyond(keys[1:], values[1:], backwards)
    # A row further on in this key alone; NULLs stand at the end that descending or ascending gives them.
    nulls_are_ahead = key.descending == backwards
    if value is None:
        if nulls_are_ahead:
            return Sql(f"({sql.text} IS NULL AND {rest.text})", (*sql.values, *rest.values))
        return Sql(
            f"({sql.text} IS NOT NULL OR ({sql.text} IS NULL AND {rest.text}))",
            (*sql.values, *sql.values, *rest.values),
        )
    further = f"{sql.text} {'<' if descending else '>'} {placeholder}"
    ahead = f"{sql.text} IS NULL OR " if nulls_are_ahead else ""
    return Sql(
        f"({ahead}{further} OR ({sql.text} = {placeholder} AND {rest.text}))",
        (*(sql.values if ahead else ()), *sql.values, value, *sql.values, value, *rest.values),
    )


@cache
def cursor_key() -> bytes:
    return hashlib.sha256(b"list cursors " + settings.SECRET_KEY.encode()).digest()


def cursor_signature(payload: bytes, sort: str) -> bytes:
    return hashlib.blake2b(sort.encode() + b"\0" + payload, key=cursor_key(), digest_size=12).digest()


def write_cursor(place: Sequence[str | None], sort: str) -> str:
    """Return the opaque text of a row's place in the list, good for lists of the same order."""
    payload = orjson.dumps(place)
    return base64.urlsafe_b64encode(cursor_signature(payload, sort) + payload).decode().rstrip("=")


def read_cursor(text: str, sort: str, length: int) -> list[str | None]:
    """Return the place that a cursor of ours names; refuse any other text."""
    if len(text) <= 8_000:
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raw = b""
        if hmac.compare_digest(raw[:12], cursor_signature(raw[12:], sort)):
            values = orjson.loads(raw[12:])
            if len(values) == length:
                return values
    raise InvalidInput(
        "This cursor is not one of this list in this order; take it from X-Next-Cursor or X-Prev-Cursor"
        " of the same request without next and prev.",
        field="next",
    )
