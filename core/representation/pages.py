"""Lists: page numbers, cursors, order and counts, for every resource alike."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Self

import orjson
from django.conf import settings

from core.document_sizes import LARGEST_DOCUMENT
from core.errors import InvalidInput
from core.representation.fields import Languages
from core.representation.representations import Representation, SortKey
from core.sql.composition import Sql, identifier, integer, param, sql, type_of
from core.sql.fetching import fetch_rows, release_large_result

LARGEST_PAGE = 1000
LARGEST_OFFSET = 10_000_000
LARGEST_PAGE_BYTES = 33_554_432
SAFE_PAGE = LARGEST_PAGE_BYTES // LARGEST_DOCUMENT  # rows of which all may be as large as a document can be


class PageTooLarge(InvalidInput):
    """The documents of a page are more than one response may hold."""

    code = "page_too_large"


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
class KeyPartitions:
    """A list that is the union of partitions: the rows whose `column` holds one of the keys.

    `keys` is an item of a FROM, with one column that holds each key once. With an index over (tenant,
    column, id), a page in the order of ids costs the same however long the partitions are: it is merged
    from the first rows of each.
    """

    column: str
    keys: Sql

    @classmethod
    def of_keys(cls, column: str, keys: Sequence[int]) -> Self:
        """Return the partitions of these keys."""
        return cls(column, sql("unnest({keys})", keys=param(list(keys), "bigint[]")))

    @classmethod
    def of_selection(cls, column: str, selection: Sql) -> Self:
        """Return the partitions whose keys a SELECT selects, each once."""
        return cls(column, sql("({selection})", selection=selection))

    def condition(self, alias: str) -> Sql:
        """The condition that a row is in any of the partitions."""
        return sql(
            "{column} IN (SELECT part.key FROM {keys} AS part (key))",
            column=identifier(alias, self.column),
            keys=self.keys,
        )


def fetch_page(
    representation: Representation,
    page: PageRequest,
    conditions: Sequence[Sql],
    needs: set[str],
    *,
    order: Sequence[SortKey] = (),
    partitions: KeyPartitions | None = None,
    prepared: bool = False,
) -> Page:
    """Return one page of the rows that meet all conditions, with `partitions` only the rows of these.

    Takes one statement, and one more when the count is wanted. `needs` are the joins that the conditions
    use. The order is total: what the client sorts by, or else `order`, then the key. `prepared` as in
    `fetch_rows`.
    """
    keys, sort_needs = representation.sort_keys(page.sort, page.languages)
    keys = keys or list(order)
    alias = representation.alias
    keys.append(SortKey(identifier(alias, "id"), "bigint"))
    backwards = page.before is not None
    cursor_text = page.after if page.after is not None else page.before
    where = list(conditions)
    merged = partitions if len(keys) == 1 else None
    if merged is not None:
        where.insert(0, sql("{column} = part.key", column=identifier(alias, merged.column)))
    elif partitions is not None:
        where.insert(0, partitions.condition(alias))
    if cursor_text is not None:
        where.append(beyond(keys, read_cursor(cursor_text, page.sort, len(keys)), backwards))
    offset = ((page.number or 1) - 1) * page.size
    inner_joins = representation.joined(needs | sort_needs)
    statement = page_statement(
        representation, page, keys, where, inner_joins, offset=offset, backwards=backwards, partitions=merged
    )
    if page.size > SAFE_PAGE:
        statement = sql(
            "SELECT CASE WHEN sum(octet_length(page.document)) OVER (ROWS UNBOUNDED PRECEDING) <= {most}"
            " THEN page.document END, {places} FROM ({page}) AS page",
            most=integer(LARGEST_PAGE_BYTES),
            places=Sql.joined(", ", [identifier("page", f"place_{n}") for n in range(len(keys))]),
            page=statement,
        )
    rows = fetch_rows(statement, prepared=prepared)
    has_more = len(rows) > page.size
    rows = rows[: page.size]
    release_large_result(checked_size([row[0] for row in rows], page.size))
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
        count=count_rows(representation, conditions, needs, partitions) if page.wants_count else None,
    )


def checked_size(documents: Sequence[str | None], page_size: int) -> int:
    """Return how much text that is; raise PageTooLarge when it is more, or some is left out (None)."""
    texts = [text for text in documents if text is not None]
    size = sum(map(len, texts))
    if len(texts) < len(documents) or size > LARGEST_PAGE_BYTES:
        raise PageTooLarge(
            f"This page is larger than {LARGEST_PAGE_BYTES // 1_048_576} MB. Send a smaller pageSize than"
            f" {page_size}, or name the fields that you need with fields.",
            field="pageSize",
        )
    return size


def is_later(page: PageRequest) -> bool:
    """Say whether rows come before a page that was reached forwards."""
    return page.after is not None or (page.number or 1) > 1


def page_statement(
    representation: Representation,
    page: PageRequest,
    keys: Sequence[SortKey],
    where: Sequence[Sql],
    inner_joins: Sql,
    *,
    offset: int,
    backwards: bool,
    partitions: KeyPartitions | None = None,
) -> Sql:
    """Return the statement of a page: it cuts the page first, then joins what the documents show.

    A row of the result is its JSON, followed by its sort keys as texts. With partitions (`where` then holds
    the condition on `part.key`), it takes the first keys of each (lateral join), merges them, cuts the page,
    and only then reads the rows.
    """
    alias, table = identifier(representation.alias), identifier(representation.table)
    names = representation.kept_fields(page.fields)
    directions = tuple(key.descending != backwards for key in keys)
    order, places = order_of(directions)
    rows = sql(
        "{keys} FROM {table} AS {alias}{joins} WHERE {condition} ORDER BY {order}",
        keys=Sql.joined(
            ", ", [sql("{key} AS {name}", key=key.sql, name=sort_column(n)) for n, key in enumerate(keys)]
        ),
        table=table,
        alias=alias,
        joins=inner_joins,
        condition=Sql.joined(" AND ", where) if where else Sql("TRUE"),
        order=order,
    )
    # A prepared plan does not know the value of a parameter: with the limit as one it would fetch all rows.
    limit = integer(page.size + 1)
    if partitions is None:
        source = sql(
            "(SELECT {alias}.*, {rows} LIMIT {limit} OFFSET {offset}) AS {alias}",
            alias=alias,
            rows=rows,
            limit=limit,
            offset=param(offset),
        )
    else:
        source = sql(
            "(SELECT sort_0 FROM {keys} AS part (key)"
            " CROSS JOIN LATERAL (SELECT {rows} LIMIT {first}) AS beginning"
            " ORDER BY {order} LIMIT {limit} OFFSET {offset}) AS place"
            " JOIN {table} AS {alias} ON {alias}.id = place.sort_0",
            keys=partitions.keys,
            rows=rows,
            first=integer(offset + page.size + 1),
            order=order,
            limit=limit,
            offset=param(offset),
            table=table,
            alias=alias,
        )
    return sql(
        "SELECT {document} AS document, {places} FROM {source}{joins} ORDER BY {order}",
        document=representation.document(names, page.languages),
        places=places,
        source=source,
        joins=representation.joined(representation.needs_of(names)),
        order=order,
    )


def sort_column(index: int) -> Sql:
    return identifier(f"sort_{index}")


@lru_cache
def order_of(directions: tuple[bool, ...]) -> tuple[Sql, Sql]:
    """Return the ORDER BY of so many sort keys (True: descending), and their columns as texts."""
    order = [f"sort_{n} {'DESC' if descending else 'ASC'}" for n, descending in enumerate(directions)]
    places = [f"sort_{n}::text AS place_{n}" for n in range(len(directions))]
    return Sql(", ".join(order)), Sql(", ".join(places))


def count_rows(
    representation: Representation,
    conditions: Sequence[Sql],
    needs: set[str],
    partitions: KeyPartitions | None = None,
) -> int:
    """Return how many rows meet all conditions, with `partitions` only the rows of these."""
    if partitions is not None:
        conditions = [partitions.condition(representation.alias), *conditions]
    [(count,)] = fetch_rows(
        sql(
            "SELECT count(*) FROM {table} AS {alias}{joins} WHERE {condition}",
            table=identifier(representation.table),
            alias=identifier(representation.alias),
            joins=representation.joined(needs),
            condition=Sql.joined(" AND ", conditions) if conditions else Sql("TRUE"),
        )
    )
    return count


def beyond(keys: Sequence[SortKey], values: Sequence[str | None], backwards: bool) -> Sql:
    """Return the condition that a row comes after (or before) the row of a cursor.

    NULL sorts as PostgreSQL does by default: last in ascending order, first in descending order.
    """
    key, value = keys[0], values[0]
    slots = {
        "key": key.sql,
        "value": sql("{text}::{type}", text=param(value, "text"), type=type_of(key.type)),
    }
    further = "{key} < {value}" if key.descending != backwards else "{key} > {value}"
    if len(keys) == 1:
        return sql(further, **slots)
    slots["rest"] = beyond(keys[1:], values[1:], backwards)
    # Is NULL still to come? It is at the end when ascending, at the beginning when descending.
    nulls_follow = key.descending == backwards
    if value is None:
        del slots["value"]
        if nulls_follow:
            return sql("({key} IS NULL AND {rest})", **slots)
        return sql("({key} IS NOT NULL OR ({key} IS NULL AND {rest}))", **slots)
    null = "{key} IS NULL OR " if nulls_follow else ""
    return sql("(" + null + further + " OR ({key} = {value} AND {rest}))", **slots)


@cache
def cursor_key() -> bytes:
    return hashlib.sha256(b"list cursors " + settings.SECRET_KEY.encode()).digest()


def cursor_signature(payload: bytes, sort: str) -> bytes:
    return hashlib.blake2b(sort.encode() + b"\0" + payload, key=cursor_key(), digest_size=12).digest()


def write_cursor(place: Sequence[str | None], sort: str) -> str:
    """Return the opaque text of a row's position, valid for lists in the same order."""
    payload = orjson.dumps(place)
    return base64.urlsafe_b64encode(cursor_signature(payload, sort) + payload).decode().rstrip("=")


def read_cursor(text: str, sort: str, length: int) -> list[str | None]:
    """Return the position that a cursor of this list contains; refuse any other text."""
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
