"""Lists: page numbers, cursors, order and counts, for every resource alike."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from typing import Self

import orjson
from django.conf import settings

from core.errors import InvalidInput
from core.json_values import LARGEST_DOCUMENT
from core.representation.fields import Languages
from core.representation.representations import Representation, SortKey
from core.sql.composition import (
    Sql,
    SqlValues,
    bind,
    composed_once,
    identifier,
    integer,
    param,
    sql,
    type_of,
)
from core.sql.fetching import LARGE_RESULT, fetch_rows, release_large_result

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


@dataclass(slots=True)
class Along:
    """A number that the statement of a page reads along, so that both are of one state of the data.

    `fetch_page` fills in the `value`.
    """

    expression: Sql
    value: int = 0


@dataclass(frozen=True, slots=True)
class KeyPartitions:
    """A list that is the union of partitions: the rows whose `column` holds one of the keys.

    `keys` is an item of a FROM, whose first column holds each key once. With an index over (tenant,
    column, id), a page in the order of ids costs the same however long the partitions are: it is merged
    from the first rows of each. An index over (tenant, column, `sorted_by`, id) serves that order.
    Where more columns make a partition, `also` names them: `keys` has them under the same names. `others`
    are partitions by other columns, which have no row in common with these.
    """

    column: str
    keys: Sql
    sorted_by: str = ""
    also: tuple[str, ...] = ()
    others: tuple["KeyPartitions", ...] = ()

    @classmethod
    def of_keys(cls, column: str, keys: Sequence[int]) -> Self:
        """Return the partitions of these keys."""
        return cls(column, bind("unnest({keys:bigint[]})", keys=list(keys)))

    @classmethod
    def of_selection(cls, column: str, selection: Sql) -> Self:
        """Return the partitions whose keys a SELECT selects, each once."""
        return cls(column, sql("({selection})", selection=selection))

    @property
    def all_kinds(self) -> tuple["KeyPartitions", ...]:
        """These partitions and the others, each kind by its own columns."""
        return (self, *self.others)

    def is_in_part(self, alias: str) -> Sql:
        """The condition that a row is in the partition whose key is `part.key`."""
        key = sql("{column} = part.key", column=identifier(alias, self.column))
        if not self.also:
            return key
        further = [
            sql("{column} = {value}", column=identifier(alias, name), value=identifier("part", name))
            for name in self.also
        ]
        return Sql.joined(" AND ", [key, *further])

    def can_merge(self, alias: str, keys: Sequence[SortKey]) -> bool:
        """Whether the index has each partition in this order, which ends with the id."""
        indexed = [identifier(alias, self.sorted_by).sql] if self.sorted_by else []
        return [key.sql.sql for key in keys[:-1]] == indexed

    def condition(self, representation: Representation) -> Sql:
        """The condition that a row is in any of the partitions."""
        alias, table = representation.alias, identifier(representation.table)
        if not self.also and not self.others:
            return sql(
                "{column} IN (SELECT part.key FROM {keys} AS part (key))",
                column=identifier(alias, self.column),
                keys=self.keys,
            )
        selections = [
            sql(
                "SELECT own.id FROM {keys} AS part (key) JOIN {table} AS own ON {is_in_part}",
                keys=kind.keys,
                table=table,
                is_in_part=kind.is_in_part("own"),
            )
            for kind in self.all_kinds
        ]
        return sql(
            "{id} IN ({selections})",
            id=identifier(alias, "id"),
            selections=Sql.joined(" UNION ALL ", selections),
        )


TRUE, NOTHING = Sql("TRUE"), Sql("")


def fetch_page(
    representation: Representation,
    page: PageRequest,
    conditions: Sequence[Sql],
    needs: Set[str],
    *,
    order: Sequence[SortKey] = (),
    partitions: KeyPartitions | None = None,
    prepared: bool = False,
    along: Along | None = None,
) -> Page:
    """Return one page of the rows that meet all conditions, with `partitions` only the rows of these.

    Takes one statement, and one more when the count is wanted, or for a page without rows what is read
    `along`. `needs` are the joins that the conditions use. The order is total: what the client sorts by, or
    else `order`, then the key. `prepared` as in `fetch_rows`.
    """
    keys: list[SortKey] = []
    if page.sort:
        keys, sort_needs = representation.sort_keys(page.sort, page.languages)
        needs = needs | sort_needs
    keys = keys or list(order)
    if not keys or keys[-1].sql != representation.row_key.sql:
        keys = [*keys, representation.row_key]
    backwards = page.before is not None
    cursor_text = page.after if page.after is not None else page.before
    where = list(conditions)
    can_merge = partitions is not None and partitions.can_merge(representation.alias, keys)
    merged = partitions if can_merge else None
    if partitions is not None and merged is None:
        where.insert(0, partitions.condition(representation))
    if cursor_text is not None:
        where.append(beyond(keys, read_cursor(cursor_text, page.sort, len(keys)), backwards))
    offset = ((page.number or 1) - 1) * page.size
    names = representation.kept_fields(page.fields) if page.fields else None
    directions = tuple([key.descending != backwards for key in keys])
    columns = {sort_column(place): key.sql for place, key in enumerate(keys)}
    shape, joins = representation.shape, frozenset(needs)
    beginnings = NOTHING
    if merged is not None:
        beginnings = Sql.joined(
            " UNION ALL ",
            [
                beginning_of_partitions(
                    shape,
                    joins,
                    directions,
                    offset + page.size + 1,
                    condition=Sql.joined(" AND ", [kind.is_in_part(representation.alias), *where]),
                    partitions=kind.keys,
                    **columns,
                )
                for kind in merged.all_kinds
            ],
        )
    statement = page_statement(
        shape,
        names,
        joins,
        directions,
        page.size,
        merged is not None,
        None if page.size <= SAFE_PAGE else LARGEST_PAGE_BYTES,
        document=representation.document(names, page.languages),
        condition=Sql.joined(" AND ", where) if where and merged is None else TRUE,
        beginnings=beginnings,
        offset=param(offset),
        along=NOTHING if along is None else sql(", {value} AS along", value=along.expression),
        **columns,
    )
    rows = fetch_rows(statement, prepared=prepared)
    if along is not None:
        rows = read_along(along, statement, rows)
    has_more = len(rows) > page.size
    rows = rows[: page.size]
    size = checked_size([row[0] for row in rows], page.size)
    if size > LARGE_RESULT:
        release_large_result()
    if backwards:
        rows.reverse()
    if backwards:
        has_next, has_previous = bool(rows), has_more
    else:
        has_next, has_previous = has_more, bool(rows) and is_later(page)
    return Page(
        documents=[row[0] for row in rows],
        next_cursor=write_cursor(rows[-1][1 : 1 + len(keys)], page.sort) if has_next else None,
        previous_cursor=write_cursor(rows[0][1 : 1 + len(keys)], page.sort) if has_previous else None,
        count=count_rows(representation, conditions, needs, partitions) if page.wants_count else None,
    )


def read_along(along: Along, statement: Sql, rows: list[SqlValues]) -> list[SqlValues]:
    """Fill in what the statement of a page has read along, in the last column; return the rows of the page.

    A page without rows did not bring it, so both are asked for once more, until they are of one state.
    """
    while not rows:
        asked = sql("SELECT {value}, EXISTS ({page})", value=along.expression, page=statement)
        [(along.value, has_rows)] = fetch_rows(asked)
        if not has_rows:
            return rows
        rows = fetch_rows(statement)
    along.value = rows[0][-1]
    return rows


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


def order_of(keys: Iterable[str], directions: Sequence[bool]) -> Sql:
    """Return what comes behind ORDER BY; `directions` say which of the sort keys descend."""
    return Sql.joined(
        ", ",
        [
            sql("{key} DESC" if descends else "{key} ASC", key=identifier(name))
            for name, descends in zip(keys, directions, strict=True)
        ],
    )


def rows_in_order(
    shape: Representation, needs: frozenset[str], condition: Sql, order: Sql, keys: Mapping[str, Sql]
) -> Sql:
    """Return the end of a SELECT, from its list of columns on: the sort keys of the rows, in order."""
    return sql(
        "{keys} FROM {table} AS {alias}{joins} WHERE {condition} ORDER BY {order}",
        keys=Sql.joined(
            ", ", [sql("{key} AS {name}", key=key, name=identifier(name)) for name, key in keys.items()]
        ),
        table=identifier(shape.table),
        alias=identifier(shape.alias),
        joins=shape.joined(needs),
        condition=condition,
        order=order,
    )


@composed_once
def beginning_of_partitions(
    shape: Representation,
    needs: frozenset[str],
    directions: tuple[bool, ...],
    first: int,
    *,
    condition: Sql,
    partitions: Sql,
    **keys: Sql,
) -> Sql:
    """Return a SELECT of the sort keys of the first rows of each partition; `condition` has one on `part`."""
    return sql(
        "SELECT beginning.* FROM {partitions} AS part (key)"
        " CROSS JOIN LATERAL (SELECT {rows} LIMIT {first}) AS beginning",
        partitions=partitions,
        rows=rows_in_order(shape, needs, condition, order_of(keys, directions), keys),
        first=integer(first),
    )


@composed_once
def page_statement(
    shape: Representation,
    names: tuple[str, ...] | None,
    needs: frozenset[str],
    directions: tuple[bool, ...],
    size: int,
    is_merged: bool,  # noqa: FBT001 -- a fact of the shape
    most_bytes: int | None,
    *,
    document: Sql,
    condition: Sql,
    beginnings: Sql,
    offset: Sql,
    along: Sql,
    **keys: Sql,
) -> Sql:
    """Return the statement of a page: it cuts the page first, then joins what the documents show.

    A row of the result is its JSON, followed by its sort keys as texts; `keys` are these, and `directions`
    say which descend. A page of partitions is merged from the `beginnings` of these, and only then are the
    rows read. Documents beyond `most_bytes` are left out. `along` is a further column, or nothing.
    """
    alias, table = identifier(shape.alias), identifier(shape.table)
    order = order_of(keys, directions)
    # A prepared plan does not know the value of a parameter: with the limit as one it would fetch all rows.
    limit = integer(size + 1)
    if not is_merged:
        source = sql(
            "(SELECT {alias}.*, {rows} LIMIT {limit} OFFSET {offset}) AS {alias}",
            alias=alias,
            rows=rows_in_order(shape, needs, condition, order, keys),
            limit=limit,
            offset=offset,
        )
    else:
        source = sql(
            "(SELECT place.* FROM ({beginnings}) AS place ORDER BY {order} LIMIT {limit} OFFSET {offset})"
            " AS place JOIN {table} AS {alias} ON {alias}.id = place.{id}",
            beginnings=beginnings,
            order=order,
            limit=limit,
            offset=offset,
            table=table,
            alias=alias,
            id=identifier(sort_column(len(keys) - 1)),
        )
    statement = sql(
        "SELECT {document} AS document, {places}{along} FROM {source}{joins} ORDER BY {order}",
        document=document,
        along=along,
        places=Sql.joined(
            ", ", [sql("{key}::text AS {place}", key=identifier(name), place=place(name)) for name in keys]
        ),
        source=source,
        joins=shape.joined(shape.needs_of(names)),
        order=order,
    )
    if most_bytes is None:
        return statement
    return sql(
        "SELECT CASE WHEN sum(octet_length(page.document)) OVER (ROWS UNBOUNDED PRECEDING) <= {most}"
        " THEN page.document END, {places}{along} FROM ({page}) AS page",
        along=Sql(", page.along") if along.sql else NOTHING,
        most=integer(most_bytes),
        places=Sql.joined(", ", [sql("page.{place}", place=place(name)) for name in keys]),
        page=statement,
    )


@cache
def sort_column(place: int) -> str:
    return f"sort_{place}"


def place(name: str) -> Sql:
    """Return the column that holds a sort key as text."""
    return identifier(name.replace("sort", "place"))


def count_rows(
    representation: Representation,
    conditions: Sequence[Sql],
    needs: Set[str],
    partitions: KeyPartitions | None = None,
) -> int:
    """Return how many rows meet all conditions, with `partitions` only the rows of these."""
    if partitions is not None:
        conditions = [partitions.condition(representation), *conditions]
    [(count,)] = fetch_rows(
        sql(
            "SELECT count(*) FROM {table} AS {alias}{joins} WHERE {condition}",
            table=identifier(representation.table),
            alias=identifier(representation.alias),
            joins=representation.joined(needs),
            condition=Sql.joined(" AND ", conditions) if conditions else TRUE,
        )
    )
    return count


def beyond(keys: Sequence[SortKey], values: Sequence[str | None], backwards: bool) -> Sql:
    """Return the condition that a row comes after (or before) the row of a cursor."""
    pieces = {f"key_{place}": key.sql for place, key in enumerate(keys)}
    pieces |= {
        f"value_{place}": param(value, "text") for place, value in enumerate(values) if value is not None
    }
    order = tuple([(key.type, key.descending, key.nullable) for key in keys])
    return beyond_values(order, backwards, **pieces)


@composed_once
def beyond_values(keys: tuple[tuple[str, bool, bool], ...], backwards: bool, **pieces: Sql) -> Sql:
    """Return the condition of `beyond`. The pieces are the keys, and the values that are not NULL.

    NULL sorts as PostgreSQL does by default: last in ascending order, first in descending order.
    """
    condition = None
    for place, (type_name, descending, nullable) in reversed(list(enumerate(keys))):
        slots = {"key": pieces[f"key_{place}"]}
        value = pieces.get(f"value_{place}")
        if value is not None:
            slots["value"] = sql("{text}::{type}", text=value, type=type_of(type_name))
        further = "{key} < {value}" if descending != backwards else "{key} > {value}"
        if condition is None:  # the last key is the row's, which is never NULL
            condition = sql(further, **slots)
            continue
        slots["rest"] = condition
        if not nullable:  # the first half of the condition bounds the part of an index that is read
            bound = further.replace("<", "<=").replace(">", ">=")
            either = f"({bound} AND ({further} OR {{rest}}))"
            condition = sql(either, **slots)
            continue
        # Is NULL still to come? It is at the end when ascending, at the beginning when descending.
        nulls_follow = descending == backwards
        if value is not None:
            null = "{key} IS NULL OR " if nulls_follow else ""
            condition = sql("(" + null + further + " OR ({key} = {value} AND {rest}))", **slots)
        elif nulls_follow:
            condition = sql("({key} IS NULL AND {rest})", **slots)
        else:
            condition = sql("({key} IS NOT NULL OR ({key} IS NULL AND {rest}))", **slots)
    assert condition is not None
    return condition


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
