"""The rows of a file, one after the other, each with its line number; a bad one never hides the next."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain

import orjson

from core.errors import DomainError
from core.imports.columns import DEFAULT_OPTIONS, BodyColumns, Column, Header, ReadingOptions
from core.imports.files import CHUNK, LINES_AT_ONCE, STANDARD_INPUT, InputFile, Line, UnreadableFile
from core.imports.json_rows import JsonReading, read_json_array, read_json_lines
from core.imports.plain_rows import PlainRow
from core.imports.rows import ENCODING_HINT, NUL, BrokenLine, Reading, Record, WrongEncoding

LONGEST_FIELD = 1_048_576
LONGEST_QUOTED_ROW = 1_048_576  # bytes of a row that goes over several lines
EMPTY_CELLS = b',;\t|" \r'  # all that a row without values has
DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
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


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header line of a CSV file: the names in it, the columns that these are, and the delimiter.

    `rows` makes bodies of the rows below it. Files of JSON have an empty one.
    """

    given_names: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    delimiter: str = ","
    rows: Header | None = None


class RecordFile:
    """The rows of a file, to be read once or several times; the header of CSV is read at once.

    `plain` says which rows need no reading. A text in place of a localized member of JSON is one of the
    default language. Raises UnreadableFile for a header that does not fit.
    """

    def __init__(
        self,
        file: InputFile,
        kind: Format,
        columns: Sequence[Column],
        plain: PlainRow | None = None,
        *,
        default_language: str = "en",
        options: ReadingOptions = DEFAULT_OPTIONS,
    ) -> None:
        self.file = file
        self.kind = kind
        self.plain = plain
        self.options = options
        self.header = FileHeader()
        self.opened: _CsvFile | None = None
        if kind is Format.CSV:
            self.opened = opened = _open_csv(file, options)
            rows = Header(opened.names, columns, options)
            self.header = FileHeader(rows.given_names, rows.names, opened.delimiter, rows)
        else:
            self.given_by = BodyColumns(columns, default_language, options)

    def begin(self) -> Reading:
        """Begin at the first row. Of several readings only the last one can go on."""
        if self.kind is not Format.CSV:
            read = read_json_array if self.kind is Format.JSON else read_json_lines
            return JsonReading(read(self.file, self.given_by), self.options)
        opened, self.opened = self.opened or _open_csv(self.file, self.options), None
        return _CsvReading(opened, self.header, self.plain, self.options)

    def slices(self) -> Iterator[list[Record]]:
        """Yield all rows in slices, from the first one on."""
        reading = self.begin()
        while reading.has_more:
            yield reading.next_slice()

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.slices())


class UnclosedQuote(BrokenLine):
    """A quote opens in the line and is not closed where it could be."""

    def __init__(self, line: int) -> None:
        super().__init__(f"Line {line} has a quote that is not closed within 1 MiB.")


class _CsvLines:
    """Feeds the csv module, and remembers what it has taken since the last row.

    `waiting` are the lines of the present slice that are left; `has_slices` says whether it is not the last
    one. Raises UnclosedQuote when a row goes on for
    more than 1 MiB of lines.
    """

    def __init__(self, file: InputFile, comment: str) -> None:
        self.file = file
        self.slices = file.line_slices()
        self.has_slices = True
        self.mark = comment.encode()
        self.waiting: deque[Line] = deque()
        self.taken: list[Line] = []
        self.texts: list[str] = []
        self.size = 0
        self.error: DomainError | None = None

    def next_physical(self) -> Line | None:
        """Return the next line that no row has taken, be it one that was put back; None at the end."""
        while not self.waiting:
            if not self.has_slices:
                return None
            lines = next(self.slices)
            self.has_slices = self.file.has_more
            if not self.has_slices:
                self.slices.close()
            self.waiting.extend(
                [line for line in lines if not line[1].startswith(self.mark)] if self.mark else lines
            )
        return self.waiting.popleft()

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        line = self.next_physical()
        if line is None:
            raise StopIteration
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
    names: Sequence[str]
    delimiter: str


def _open_csv(file: InputFile, options: ReadingOptions) -> _CsvFile:
    """Read the header. A line `sep=;` above it, as spreadsheets write, names the delimiter."""
    csv.field_size_limit(LONGEST_FIELD)
    lines = _CsvLines(file, options.comment)
    first = lines.next_physical()
    while first is not None and not first[1].strip(EMPTY_CELLS):
        first = lines.next_physical()
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
    names = options.columns or _header_names(lines, reader)
    return _CsvFile(lines, reader, names, delimiter or ",")


def split_line(line: str, delimiter: str, options: ReadingOptions) -> list[str]:
    """Return the values of a line without quotes; the last of the named columns has the rest of the line."""
    return line.rstrip("\r\n").split(delimiter, len(options.columns) - 1 if options.columns else -1)


def _delimiter_of(header: str) -> str:
    """Return the delimiter that comes most often in the header, outside of quotes; the comma in doubt."""
    unquoted = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=unquoted.count)


class _CsvReading:
    """The rows below the header line."""

    def __init__(
        self, opened: _CsvFile, header: FileHeader, plain: PlainRow | None, options: ReadingOptions
    ) -> None:
        assert header.rows is not None
        self.lines = opened.lines
        self.reader = opened.reader
        self.header = header.rows
        self.skipped = [_index_of(name, header.rows) for name in options.skipped_without]
        may_be_plain = plain and opened.delimiter == "," and not self.skipped and header.rows.is_complete
        self.plain = plain.pattern(header.names) if plain and may_be_plain else None
        self.has_more = True
        self.failure: UnreadableFile | None = None

    def next_slice(self) -> list[Record]:
        """Split the next lines into rows, then read the rows that are not plain."""
        if self.failure is not None:
            raise self.failure
        records: list[Record] = []
        split: list[tuple[Record, list[str]]] = []
        try:
            self._split_rows(records, split)
            self.has_more = bool(self.lines.waiting) or self.lines.has_slices
        except UnreadableFile as error:
            if not records:
                raise
            self.failure = error
        for (record, _), read in zip(split, self.header.read_rows([row for _, row in split]), strict=True):
            if isinstance(read, DomainError):
                record.error = read
            else:
                record.body, record.given = read
        return records

    def _split_rows(self, records: list[Record], split: list[tuple[Record, list[str]]]) -> None:
        """Add the rows of the next lines to the records, and to `split` those whose cells are to be read."""
        lines, is_plain = self.lines, self.plain.fullmatch if self.plain else None
        size, line = 0, lines.next_physical()
        while line is not None:
            number, content, _ = line
            if is_plain and (is_plain(content) or (content.endswith(b"\r") and is_plain(content[:-1]))):
                records.append(Record(number, content.decode().removesuffix("\r"), is_plain=True))
            else:
                lines.start_row(line)
                record, row = _split_row(lines, self.reader, self.header, self.skipped)
                if record is not None:
                    records.append(record)
                    size += len(record.source)  # of a row over many lines
                    if row is not None:
                        split.append((record, row))
            is_full = not lines.waiting or len(records) >= LINES_AT_ONCE or size > CHUNK
            line = None if is_full else lines.waiting.popleft()


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


def _split_row(
    lines: _CsvLines, reader: Iterator[list[str]], header: Header, skipped: Sequence[int]
) -> tuple[Record | None, list[str] | None]:
    """Return the row that begins on the line given last, and its cells; no row when it is empty or skipped.

    A row that is refused comes without cells. Of a row that goes over several lines and is none, the first
    line is refused and the others are read as rows of their own: most likely there is a quote that was not
    meant as one.
    """
    try:
        row = next(reader)
    except (csv.Error, UnclosedQuote) as error:
        return _refused_line(lines, error), None
    if not any(row):
        return None, None
    if not header.is_complete:
        row = header.complete(row)
    if len(lines.taken) > 1 and not header.may_span_lines(row):
        return _refused_line(lines, UnclosedQuote(lines.first)), None
    if skipped and len(row) >= header.width and any(row[index].strip() == "" for index in skipped):
        return None, None
    source = lines.texts[0] if len(lines.texts) == 1 else "\n".join(lines.texts)
    record = Record(lines.first, source.removesuffix("\r"), error=lines.error)
    return record, None if record.error else row


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
