"""Reads the rows of a tenant, and writes them to a file that the import takes."""

import csv
import gzip
import io
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import IO, Any, cast

import orjson
import zstandard
from django.db import connection, transaction

from core.imports.columns import APOSTROPHED, Column, ColumnType, written_list
from core.imports.files import BYTE_ORDER_MARK, STANDARD_INPUT, Format, UnwritableFile
from core.imports.resources import Export
from core.json_types import JsonMapping
from core.representation.fields import Languages
from core.tenancy.callers import TenantRecord

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@contextmanager
def output_file(path: str) -> Iterator[IO[bytes]]:
    """Open a file to write to, compressed when its name ends in .gz or .zst; - is standard output.

    Raises UnwritableFile, also when the disk is full in the end. Whoever reads standard output may stop
    early, as `head` does: then this process ends without a word, as others do.
    """
    if path == STANDARD_INPUT:
        with ended_by_closed_pipes():
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    try:
        with Path(path).open("wb") as raw, _compressed(path, raw) as stream:
            yield stream
    except OSError as error:
        raise UnwritableFile(f"{path} cannot be written: {error.strerror}.") from error


@contextmanager
def _compressed(path: str, raw: IO[bytes]) -> Iterator[IO[bytes]]:
    if path.endswith(".gz"):
        with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
            yield cast(IO[bytes], packed)
    elif path.endswith(".zst"):
        with zstandard.ZstdCompressor().stream_writer(raw, closefd=False) as packed_stream:
            yield packed_stream
    else:
        yield raw


@contextmanager
def ended_by_closed_pipes() -> Iterator[None]:
    """Let a closed pipe end this process as it ends others; Python would raise an error."""
    if current_thread() is not main_thread():  # only there signals can be set
        yield
        return
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGPIPE, before)


def write_json_lines(stream: IO[bytes], documents: Iterable[str]) -> int:
    """Write the documents, given as JSON text, and say how many there were."""
    count = 0
    for document in documents:
        stream.write(document.encode() + b"\n")
        count += 1
    return count


def write_json_array(stream: IO[bytes], documents: Iterable[str]) -> int:
    """Write the documents, given as JSON text, as an array, one a line; say how many there were."""
    count = 0
    for document in documents:
        stream.write((b",\n" if count else b"[\n") + document.encode())
        count += 1
    stream.write(b"\n]\n" if count else b"[]\n")
    return count


class _LineEnds:
    """Ends rows by a line feed. The csv module quotes only the line ends that it is set to write itself."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.stream = stream

    def write(self, row: str) -> None:
        self.stream.write(row.removesuffix("\r\n") + "\n")


def write_csv(
    stream: IO[bytes],
    documents: Iterable[str],
    columns: Sequence[Column],
    languages: Sequence[str],
    *,
    has_mark: bool = False,
    is_safe: bool = False,
) -> int:
    """Write the documents below a header; a localized column is written once for each language.

    `has_mark` begins the file with a byte order mark. `is_safe` puts an apostrophe before values that a
    spreadsheet would run as formulas.
    """
    written = _without_formula if is_safe else str
    if has_mark:
        stream.write(BYTE_ORDER_MARK)
    exported = [column for column in columns if column.is_exported]
    names = [name for column in exported for name in column_names(column, languages)]
    types = [column.type for column in exported for _ in column_names(column, languages)]
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(_LineEnds(text), lineterminator="\r\n")
    writer.writerow(names)
    paths = [tuple(name.split(".")) for name in names]
    count = 0
    for document in documents:
        body = orjson.loads(document)
        writer.writerow(
            [written(cell(find(body, path), kind)) for path, kind in zip(paths, types, strict=True)]
        )
        count += 1
    text.detach()
    return count


def write_documents(
    stream: IO[bytes],
    documents: Iterable[str],
    *,
    format: Format,
    columns: Sequence[Column],
    languages: Sequence[str],
    has_mark: bool = False,
    is_safe: bool = False,
) -> int:
    """Write the documents in the format and say how many there were."""
    if format is Format.JSONL:
        return write_json_lines(stream, documents)
    if format is Format.JSON:
        return write_json_array(stream, documents)
    return write_csv(stream, documents, columns, languages, has_mark=has_mark, is_safe=is_safe)


def _without_formula(text: str) -> str:
    """Put an apostrophe before a formula, and before what an import of the file would take it from."""
    is_formula = text.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(text)
    return f"'{text}" if is_formula or APOSTROPHED.match(text) else text


def column_names(column: Column, languages: Sequence[str]) -> list[str]:
    """Return the names of a column in a header."""
    if column.type is ColumnType.LOCALIZED:
        return [f"{column.name}.{language}" for language in languages]
    return [column.name]


def find(body: Mapping[str, object], path: Sequence[str]) -> object:
    """Return what is at the path, None when nothing does."""
    found: object = body
    for part in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def cell(value: Any, kind: ColumnType) -> str:
    """Return a value as its column writes it; what is absent, and an empty list, is empty."""
    if value is None or (kind is not ColumnType.JSON and value in ({}, [])):
        return ""
    match kind:
        case ColumnType.FLAG:
            return "true" if value else "false"
        case ColumnType.JSON:
            return orjson.dumps(value).decode()
        case ColumnType.LIST:
            return written_list(value)
        case _:
            return str(value)


ROWS_AT_ONCE = 10_000
CURSOR = "exported_rows"


def exported_documents(export: Export, tenant: TenantRecord) -> Iterator[str]:
    """Yield each document as JSON text, all of one moment; the server keeps what was not fetched yet."""
    shape = export.representation
    document = shape.document(None, Languages(default=tenant.default_language))
    statement = (
        f"DECLARE {CURSOR} NO SCROLL CURSOR FOR SELECT {document.sql} FROM {shape.table} AS {shape.alias}"
        f"{shape.joined(shape.needs_of(None)).sql}"
        f" WHERE {shape.alias}.tenant_id = %s AND {export.condition} ORDER BY {export.order}"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [*document.params, tenant.id])
        while True:
            cursor.execute(f"FETCH {ROWS_AT_ONCE} FROM {CURSOR}")
            rows = cursor.fetchall()
            yield from (text for (text,) in rows)
            if len(rows) < ROWS_AT_ONCE:
                break
        cursor.execute(f"CLOSE {CURSOR}")


def stored_bodies(
    export: Export, tenant: TenantRecord, ids: Sequence[str], *, id_column: str = "external_id"
) -> dict[str, dict[str, object]]:
    """Return the documents of those rows that exist, by their ids."""
    shape = export.representation
    document = shape.document(None, Languages(default=tenant.default_language))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {shape.alias}.{id_column}, {document.sql} FROM {shape.table} AS {shape.alias}"
            f"{shape.joined(shape.needs_of(None)).sql} WHERE {shape.alias}.tenant_id = %s"
            f" AND {shape.alias}.{id_column} = ANY(%s::text[]) AND {export.condition}",
            [*document.params, tenant.id, list(ids)],
        )
        return {name: orjson.loads(text) for name, text in cursor.fetchall()}


def stored_document(export: Export, tenant: TenantRecord, body: JsonMapping) -> object:
    """Return the document of the row that a body names by its key; None when there is none."""
    shape = export.representation
    document = shape.document(None, Languages(default=tenant.default_language))
    conditions, values = [], []
    for name in export.key:
        field: Any = shape.fields[name]
        conditions.append(f"{field.expression.sql} IS NOT DISTINCT FROM %s::text")
        values.append(body.get(name))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {document.sql} FROM {shape.table} AS {shape.alias}"
            f"{shape.joined(shape.needs_of(None)).sql} WHERE {shape.alias}.tenant_id = %s"
            f" AND {export.condition} AND {' AND '.join(conditions)}",
            [*document.params, tenant.id, *values],
        )
        return next((orjson.loads(text) for (text,) in cursor.fetchall()), None)


def used_languages(export: Export, tenant: TenantRecord, columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Return the tenant's languages, then others that stored texts have; so a header leaves out none."""
    localized = [
        column.name for column in columns if column.type is ColumnType.LOCALIZED and column.is_exported
    ]
    if not localized:
        return ()
    shape = export.representation
    found: set[str] = set()
    with connection.cursor() as cursor:
        for name in localized:
            field = shape.fields[name]
            cursor.execute(
                f"SELECT DISTINCT jsonb_object_keys({field.expression.sql})"  # type: ignore[attr-defined]
                f" FROM {shape.table} AS {shape.alias} WHERE {shape.alias}.tenant_id = %s",
                [tenant.id],
            )
            found.update(language for (language,) in cursor.fetchall())
    return (*tenant.languages, *sorted(found.difference(tenant.languages)))
