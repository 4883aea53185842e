"""The rows of a file, one after the other, each with its line number; a bad one never hides the next."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from core.errors import DomainError
from core.imports.columns import Column, Header
from core.imports.files import InputFile, Line, UnreadableFile
from core.imports.plain_rows import PlainRow

LONGEST_FIELD = 1_048_576
NUL = "\0"


class Format(StrEnum):
    """How rows are written in a file."""

    CSV = "csv"
    JSONL = "jsonl"


class BrokenLine(DomainError):
    """The line is not what the format asks for."""

    code = "broken_line"


class WrongEncoding(DomainError):
    """The line is not UTF-8, or holds a character that no text can have."""

    code = "wrong_encoding"


@dataclass(slots=True)
class Record:
    """A row: the number of the line that it begins on, its text, and its body or why it has none.

    A plain row has neither: it is to be taken as its text says (see PlainRow).
    """

    line: int
    source: str
    body: Mapping[str, Any] | None = None
    error: DomainError | None = None
    is_plain: bool = False


def format_of_name(name: str) -> Format | None:
    """Tell the format from a file's name, compressed or not."""
    for suffix in reversed(name.lower().split(".")[1:]):
        if suffix == "csv":
            return Format.CSV
        if suffix in ("jsonl", "ndjson", "json"):
            return Format.JSONL
    return None


def format_of(file: InputFile) -> Format:
    """Tell the format from the file's name, else from its first character."""
    if named := format_of_name(file.name):
        return named
    first = next(file.lines(), None)
    return Format.JSONL if first and first[1].lstrip().startswith(b"{") else Format.CSV


def read_records(
    file: InputFile, kind: Format, columns: Sequence[Column], plain: PlainRow | None = None
) -> Iterator[Record]:
    """Yield the rows of the file, plain ones where `plain` says which those are.

    Raises UnreadableFile for a header that does not fit.
    """
    return read_csv(file, columns, plain) if kind is Format.CSV else read_json_lines(file)


class _CsvLines:
    """Feeds the csv module, and remembers what it has taken since the last row."""

    def __init__(self, file: InputFile) -> None:
        self.lines = file.lines()
        self.waiting: Line | None = None
        self.first = 0
        self.taken: list[str] = []
        self.error: DomainError | None = None

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        number, content, is_too_long = self.waiting or next(self.lines)
        self.waiting = None
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            place = error.start + 1
            self.error = WrongEncoding(f"Line {number} is not UTF-8 at its byte {place}.")
            text = content.decode(errors="replace")
        if NUL in text:
            self.error = self.error or WrongEncoding(f"Line {number} has a character that cannot be stored.")
            text = text.replace(NUL, "\ufffd")
        if is_too_long:
            self.error = BrokenLine(f"Line {number} is longer than 4 MiB.")
        if not self.taken:
            self.first = number
        self.taken.append(text)
        return text + "\n"

    def start_row(self) -> None:
        self.taken = []
        self.error = None


def read_csv(file: InputFile, columns: Sequence[Column], plain: PlainRow | None = None) -> Iterator[Record]:
    """Yield the rows below the header line."""
    csv.field_size_limit(LONGEST_FIELD)
    lines = _CsvLines(file)
    reader = csv.reader(lines, strict=True)
    header = _read_header(lines, reader, columns)
    pattern = plain.pattern(header.names) if plain else None
    is_plain = pattern.fullmatch if pattern else lambda content: None
    for line in lines.lines:
        if is_plain(line[1]):
            yield Record(line[0], line[1].decode(), is_plain=True)
            continue
        lines.waiting = line
        record = _read_row(lines, reader, header)
        if record is not None:
            yield record


def _read_header(lines: _CsvLines, reader: Iterator[list[str]], columns: Sequence[Column]) -> Header:
    try:
        names = next(reader)
    except StopIteration:
        raise UnreadableFile("The file is empty; it begins with a header line.") from None
    except csv.Error as error:
        raise UnreadableFile(f"Line 1 is no CSV header: {error}.") from error
    if lines.error:
        raise UnreadableFile(lines.error.message)
    return Header(names, columns)


def _read_row(lines: _CsvLines, reader: Iterator[list[str]], header: Header) -> Record | None:
    """Return the row that begins on the waiting line; None for an empty line."""
    lines.start_row()
    try:
        row = next(reader)
    except csv.Error as error:
        broken = BrokenLine(f"Line {lines.first} is no CSV: {error}.")
        return Record(lines.first, "\n".join(lines.taken)[:LONGEST_FIELD], error=lines.error or broken)
    if not row:
        return None
    source = lines.taken[0] if len(lines.taken) == 1 else "\n".join(lines.taken)
    if lines.error:
        return Record(lines.first, source, error=lines.error)
    try:
        return Record(lines.first, source, header.body(row))
    except DomainError as error:
        return Record(lines.first, source, error=error)


def read_json_lines(file: InputFile) -> Iterator[Record]:
    """Yield the objects of a JSON Lines file; empty lines are skipped."""
    for number, content, is_too_long in file.lines():
        if not content.strip():
            continue
        record = Record(number, "")
        try:
            record.source = content.decode()
        except UnicodeDecodeError as error:
            record.source = content.decode(errors="replace").replace(NUL, "\ufffd")
            record.error = WrongEncoding(f"Line {number} is not UTF-8 at its byte {error.start + 1}.")
            yield record
            continue
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            record.source = record.source.replace(NUL, "\ufffd")
            record.error = BrokenLine(f"Line {number} is no JSON: {error}.")
        else:
            if is_too_long:
                record.error = BrokenLine(f"Line {number} is longer than 4 MiB.")
            elif not isinstance(body, dict):
                record.error = BrokenLine(f"Line {number} is no JSON object.")
            elif b"\\u0000" in content:
                record.error = WrongEncoding(f"Line {number} has a character that cannot be stored.")
            else:
                record.body = body
        yield record


def header_of(file: InputFile, kind: Format) -> list[str]:
    """Return the names of a CSV file's header line; none for JSON Lines."""
    if kind is not Format.CSV:
        return []
    first = next(csv.reader(_CsvLines(file)), [])
    return [name.strip() for name in first]
