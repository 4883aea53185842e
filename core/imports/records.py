"""The rows of a file, one after the other, each with its line number; a bad one never hides the next."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from core.errors import DomainError
from core.imports.columns import (
    DEFAULT_OPTIONS,
    BodyColumns,
    Column,
    Given,
    Header,
    ReadingOptions,
    UnknownField,
    member_at,
)
from core.imports.files import STANDARD_INPUT, InputFile, Line, UnreadableFile
from core.imports.json_arrays import array_entries
from core.imports.plain_rows import PlainRow
from core.json_types import JsonMapping
from core.json_values import DEEPEST, holds_nul, is_nested_too_deeply, repeated_name

LONGEST_FIELD = 1_048_576
LONGEST_QUOTED_ROW = 1_048_576  # bytes of a row that goes over several lines
NUL = "\0"
EMPTY_CELLS = b',;\t|" \r'  # all that a row without values has
DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
ENCODING_HINT = "A file of a spreadsheet may need --encoding cp1252."
UNEXPECTED_END = "unexpected end of data"  # what the csv module says of a quote that is open at the end


class Format(StrEnum):
    """How rows are written in a file."""

    CSV = "csv"
    JSONL = "jsonl"
    JSON = "json"  # an array

    @property
    def unit(self) -> str:
        """What the number of a row counts."""
        return "Entry" if self is Format.JSON else "Line"


class BrokenLine(DomainError):
    """The line is not what the format asks for."""

    code = "broken_line"


class WrongEncoding(DomainError):
    """The line is not UTF-8, or holds a character that no text can have."""

    code = "wrong_encoding"


NOTHING_GIVEN = Given(frozenset())


@dataclass(slots=True)
class Record:
    """A row: the number of the line that it begins on, its text, and its body or why it has none.

    Rows of a JSON array are numbered as its entries.

    `given` says which columns the row has. A plain row has no body: it is to be taken as its text says (see
    PlainRow).
    """

    line: int
    source: str
    body: JsonMapping | None = None
    error: DomainError | None = None
    is_plain: bool = False
    given: Given = NOTHING_GIVEN


def format_of_name(name: str) -> Format | None:
    """Tell the format from a file's name, compressed or not."""
    for suffix in reversed(name.lower().split(".")[1:]):
        if suffix == "csv":
            return Format.CSV
        if suffix in ("jsonl", "ndjson"):
            return Format.JSONL
        if suffix == "json":
            return Format.JSON
    return None


def format_of(file: InputFile, named: Format | None = None) -> Format:
    """Return the format that is named, by the user or the file's name; else tell it from the first character.

    That also tells an array from JSON Lines, whatever the name.
    """
    named = named or format_of_name(file.name)
    if named is Format.CSV:
        return named
    first = next((content.strip() for _, content, _ in file.lines() if content.strip()), b"")
    start = first[:1]
    if start == b"{" and named is Format.JSON and not is_json(first):
        raise UnreadableFile(
            "The file is one JSON object, not a list of rows: take the list out of it,"
            " for instance by jq '.customers'."
        )
    if start == b"[" and (named or file.name == STANDARD_INPUT):
        return Format.JSON
    return Format.JSONL if named or start == b"{" else Format.CSV


def is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def read_records(
    file: InputFile,
    kind: Format,
    columns: Sequence[Column],
    plain: PlainRow | None = None,
    *,
    default_language: str = "en",
    options: ReadingOptions = DEFAULT_OPTIONS,
    header: "FileHeader | None" = None,
) -> Iterator[Record]:
    """Yield the rows of the file, plain ones where `plain` says which those are.

    A text in place of a localized member of JSON is one of the default language. A `header` that was read
    before is not understood anew.

    Raises UnreadableFile for a header that does not fit.
    """
    if kind is Format.CSV:
        return read_csv(file, columns, plain, options, header.rows if header else None)
    given_by = BodyColumns(columns, default_language, options)
    records = read_json_array(file, given_by) if kind is Format.JSON else read_json_lines(file, given_by)
    if not options.skipped_without:
        return records
    return (record for record in records if record.body is None or _has_all(record.body, options))


class UnclosedQuote(BrokenLine):
    """A quote opens in the line and is not closed where it could be."""

    def __init__(self, line: int) -> None:
        super().__init__(f"Line {line} has a quote that is not closed within 1 MiB.")


class _CsvLines:
    """Feeds the csv module, and remembers what it has taken since the last row.

    Raises UnclosedQuote when a row goes on for more than 1 MiB of lines.
    """

    def __init__(self, file: InputFile, comment: str) -> None:
        self.lines = file.lines()
        if mark := comment.encode():
            self.lines = (line for line in self.lines if not line[1].startswith(mark))
        self.waiting: deque[Line] = deque()
        self.taken: list[Line] = []
        self.texts: list[str] = []
        self.size = 0
        self.error: DomainError | None = None

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        line = self.waiting.popleft() if self.waiting else next(self.lines)
        number, content, is_too_long = line
        if self.taken and self.size + len(content) > LONGEST_QUOTED_ROW:
            self.waiting.appendleft(line)
            raise UnclosedQuote(self.first)
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            place = error.start + 1
            self.error = WrongEncoding(f"Line {number} is not UTF-8 at its byte {place}. {ENCODING_HINT}")
            text = content.decode(errors="replace")
        if NUL in text:
            self.error = self.error or WrongEncoding(f"Line {number} has a character that cannot be stored.")
            text = text.replace(NUL, "\ufffd")
        if is_too_long:
            self.error = BrokenLine(f"Line {number} is longer than 4 MiB.")
        self.taken.append(line)
        self.texts.append(text)
        self.size += len(content) + 1
        return text + "\n"

    @property
    def first(self) -> int:
        """The number of the line on which the row begins."""
        return self.taken[0][0]

    def physical(self) -> Iterator[Line]:
        """Yield the lines that no row has taken, those that were put back among them."""
        while True:
            while self.waiting:
                yield self.waiting.popleft()
            line = next(self.lines, None)
            if line is None:
                return
            yield line

    def start_row(self, line: Line) -> None:
        """Begin a row with this line."""
        self.waiting.appendleft(line)
        self.taken, self.texts, self.size = [], [], 0
        self.error = None

    def put_back(self) -> None:
        """Put all lines of the row but the first one back, to be read as rows of their own."""
        self.waiting.extendleft(reversed(self.taken[1:]))
        del self.taken[1:], self.texts[1:]


@dataclass(slots=True)
class _CsvFile:
    """A CSV file whose header has been read."""

    lines: _CsvLines
    reader: Iterator[list[str]]
    names: list[str]
    delimiter: str


def _open_csv(file: InputFile, options: ReadingOptions) -> _CsvFile:
    """Read the header. A line `sep=;` above it, as spreadsheets write, names the delimiter."""
    csv.field_size_limit(LONGEST_FIELD)
    lines = _CsvLines(file, options.comment)
    first = next((line for line in lines.lines if line[1].strip(EMPTY_CELLS)), None)
    delimiter = options.delimiter
    if first is not None:
        text = first[1].decode(errors="replace").removesuffix("\r")
        if named := SEPARATOR_LINE.fullmatch(text):
            delimiter = delimiter or named[1]
        else:
            delimiter = delimiter or _delimiter_of(text)
            lines.start_row(first)
    reader: Iterator[list[str]]
    if len(delimiter) > 1:
        reader = (split_line(line, delimiter, options) for line in lines)
    else:
        reader = csv.reader(lines, strict=True, delimiter=delimiter or ",")
    names = list(options.columns) or _header_names(lines, reader)
    return _CsvFile(lines, reader, names, delimiter or ",")


def split_line(line: str, delimiter: str, options: ReadingOptions) -> list[str]:
    """Return the values of a line without quotes; the last of the named columns has the rest of the line."""
    return line.rstrip("\r\n").split(delimiter, len(options.columns) - 1 if options.columns else -1)


def _delimiter_of(header: str) -> str:
    """Return the delimiter that comes most often in the header, outside of quotes; the comma in doubt."""
    unquoted = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=unquoted.count)


def read_csv(
    file: InputFile,
    columns: Sequence[Column],
    plain: PlainRow | None = None,
    options: ReadingOptions = DEFAULT_OPTIONS,
    header: Header | None = None,
) -> Iterator[Record]:
    """Yield the rows below the header line."""
    opened = _open_csv(file, options)
    lines, reader = opened.lines, opened.reader
    if header is None:
        header = Header(opened.names, columns, options)
    skipped = [_index_of(name, header) for name in options.skipped_without]
    may_be_plain = plain and opened.delimiter == "," and not skipped and header.is_complete
    pattern = plain.pattern(header.names) if plain and may_be_plain else None
    is_plain = pattern.fullmatch if pattern else lambda content: None
    for line in lines.physical():
        content = line[1]
        if is_plain(content):
            yield Record(line[0], content.decode(), is_plain=True)
            continue
        if content.endswith(b"\r") and is_plain(content[:-1]):
            yield Record(line[0], content[:-1].decode(), is_plain=True)
            continue
        lines.start_row(line)
        record = _read_row(lines, reader, header, skipped)
        if record is not None:
            yield record


def _index_of(name: str, header: Header) -> int:
    for names in (header.given_names, header.names):
        if name in names:
            return names.index(name)
    raise UnreadableFile(f"Line 1: there is no column {name!r}, which --skip-rows-without names.")


def _header_names(lines: _CsvLines, reader: Iterator[list[str]]) -> list[str]:
    try:
        names = next(reader)
    except StopIteration:
        raise UnreadableFile("The file is empty; it begins with a header line.") from None
    except csv.Error as error:
        raise UnreadableFile(f"Line 1 is no CSV header: {fault_of_csv(error)}.") from error
    except UnclosedQuote as error:
        raise UnreadableFile(f"Line 1 is no CSV header. {error.message}") from error
    if lines.error:
        raise UnreadableFile(lines.error.message)
    return names


def _read_row(
    lines: _CsvLines, reader: Iterator[list[str]], header: Header, skipped: Sequence[int]
) -> Record | None:
    """Return the row that begins on the line given last; None for an empty or a skipped one.

    Of a row that goes over several lines and is none, the first line is refused and the others are read as
    rows of their own: most likely there is a quote that was not meant as one.
    """
    try:
        row = next(reader)
    except (csv.Error, UnclosedQuote) as error:
        return _refused_line(lines, error)
    if not any(row):
        return None
    if not header.is_complete:
        row = header.complete(row)
    if len(lines.taken) > 1 and not header.may_span_lines(row):
        return _refused_line(lines, UnclosedQuote(lines.first))
    if skipped and len(row) >= header.width and any(row[index].strip() == "" for index in skipped):
        return None
    source = lines.texts[0] if len(lines.texts) == 1 else "\n".join(lines.texts)
    record = Record(lines.first, source.removesuffix("\r"), error=lines.error)
    if record.error is None:
        try:
            record.body, record.given = header.read(row)
        except DomainError as error:
            record.error = error
    return record


def fault_of_csv(error: csv.Error) -> str:
    """Return what the csv module says, without its advice to programmers."""
    return "it has a line break outside of quotes" if "new-line character" in str(error) else str(error)


def _refused_line(lines: _CsvLines, error: csv.Error | UnclosedQuote) -> Record:
    refusal: DomainError
    if isinstance(error, UnclosedQuote) or len(lines.taken) > 1 or str(error) == UNEXPECTED_END:
        refusal = UnclosedQuote(lines.first)
    else:
        refusal = lines.error or BrokenLine(f"Line {lines.first} is no CSV: {fault_of_csv(error)}.")
    lines.put_back()
    return Record(lines.first, lines.texts[0].removesuffix("\r")[:LONGEST_FIELD], error=refusal)


def read_json_lines(file: InputFile, given_by: BodyColumns) -> Iterator[Record]:
    """Yield the objects of a JSON Lines file; empty lines are skipped."""
    for number, content, is_too_long in file.lines():
        if content.strip():
            yield _json_record(number, "Line", content, given_by, is_too_long=is_too_long)


def read_json_array(file: InputFile, given_by: BodyColumns) -> Iterator[Record]:
    """Yield the objects of a JSON array, numbered from 1."""
    for number, content in enumerate(array_entries(file.pieces()), 1):
        if content is None:
            cut_off = BrokenLine("The array is not closed, so the file may have been cut off.")
            yield Record(number, "", error=cut_off)
        else:
            yield _json_record(number, "Entry", content, given_by)


def _json_record(
    number: int, unit: str, content: bytes, given_by: BodyColumns, *, is_too_long: bool = False
) -> Record:
    record = Record(number, content.decode(errors="replace").replace(NUL, "\ufffd"))
    try:
        content.decode()
    except UnicodeDecodeError as error:
        record.error = WrongEncoding(
            f"{unit} {number} is not UTF-8 at its byte {error.start + 1}. {ENCODING_HINT}"
        )
        return record
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        record.error = BrokenLine(f"{unit} {number} is no JSON: {error}.")
        return record
    if is_too_long:
        record.error = BrokenLine(f"{unit} {number} is longer than 4 MiB.")
    elif not isinstance(body, dict):
        record.error = BrokenLine(f"{unit} {number} is no JSON object.")
    elif is_nested_too_deeply(body, content):
        record.error = BrokenLine(f"{unit} {number} is nested more than {DEEPEST} levels deep.")
    elif holds_nul(body, content):
        record.error = WrongEncoding(f"{unit} {number} has a character that cannot be stored.")
    elif (name := repeated_name(body, content)) is not None:
        record.error = BrokenLine(f"{unit} {number} has the member {name!r} twice; keep one of them.")
    else:
        try:
            record.body, record.given = given_by(body)
        except UnknownField as error:
            record.error = error
    return record


def _has_all(body: Mapping[str, object], options: ReadingOptions) -> bool:
    """Say whether a body has something in each of the columns without which it is left out."""
    return not any(member_at(body, name) in (None, "", {}, []) for name in options.skipped_without)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header line of a CSV file: the names in it, the columns that these are, and the delimiter.

    `rows` makes bodies of the rows below it.
    """

    given_names: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    delimiter: str = ","
    rows: Header | None = None


def header_of(
    file: InputFile, kind: Format, columns: Sequence[Column], options: ReadingOptions = DEFAULT_OPTIONS
) -> FileHeader:
    """Return the header line of a CSV file; an empty one for JSON Lines.

    Raises UnreadableFile for a header that does not fit.
    """
    if kind is not Format.CSV:
        return FileHeader()
    opened = _open_csv(file, options)
    header = Header(opened.names, columns, options)
    return FileHeader(header.given_names, header.names, opened.delimiter, header)
