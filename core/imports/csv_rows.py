"""The rows of a CSV file, one after the other, each with its line number; a bad one never hides the next."""

import csv
import re
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.errors import DomainError, InvalidInput
from core.imports.columns import (
    DEFAULT_OPTIONS,
    READERS,
    REJECT_COLUMNS,
    Column,
    ColumnType,
    Given,
    ReadingOptions,
    Rewriting,
    read_cell,
    shown_name,
    unknown_column,
)
from core.imports.files import CHUNK, LINES_AT_ONCE, Format, InputFile, Line, UnreadableFile
from core.imports.plain_rows import PlainRow
from core.imports.rows import (
    ENCODING_HINT,
    NUL,
    BrokenLine,
    FileHeader,
    Record,
    RecordFile,
    UnclosedQuote,
    WrongEncoding,
)
from core.json_types import JsonObject
from core.text import normalized_object, trimmed

LONGEST_FIELD = 1_048_576
LONGEST_QUOTED_ROW = 1_048_576  # bytes of a row that goes over several lines
EMPTY_CELLS = b',;\t|" \r'  # all that a row without values has
DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
UNEXPECTED_END = "unexpected end of data"  # what the csv module says of a quote that is open at the end


class CsvFile(RecordFile):
    """The rows of a CSV file, whose header line is read at once. `plain` says which rows need no reading.

    Raises UnreadableFile for a header that does not fit.
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
        self.options = options
        self.plain = plain
        self.opened: _OpenedFile | None = _open_csv(file, options)
        self.columns = Header(self.opened.names, columns, options)
        self.header = FileHeader(self.columns.given_names, self.columns.names, self.opened.delimiter)
        self.has_more = True

    def slices(self) -> Generator[list[Record]]:
        opened, self.opened = self.opened or _open_csv(self.file, self.options), None
        self.has_more = True
        opened.skipped = [_index_of(name, self.columns) for name in self.options.skipped_without]
        if self.plain and opened.delimiter == "," and not opened.skipped and self.columns.is_complete:
            opened.plain = self.plain.pattern(self.header.names)
        return self._slices(opened)

    def _slices(self, opened: "_OpenedFile") -> Generator[list[Record]]:
        """Split the next lines into rows, then read the rows that are not plain, slice after slice."""
        lines = opened.lines
        while self.has_more:
            records: list[Record] = []
            split: list[tuple[Record, list[str]]] = []
            try:
                self._split_rows(opened, records, split)
            except UnreadableFile:
                self.columns.read_rows(split)
                if records:
                    yield records
                raise
            self.has_more = bool(lines.waiting) or lines.has_slices
            self.columns.read_rows(split)
            yield records

    def _split_rows(
        self, opened: "_OpenedFile", records: list[Record], split: list[tuple[Record, list[str]]]
    ) -> None:
        """Add the rows of the next lines to the records, and to `split` those whose cells are to be read."""
        lines, is_plain = opened.lines, opened.plain.fullmatch if opened.plain else None
        size, line = 0, lines.next_physical()
        while line is not None:
            number, content, _ = line
            if is_plain and (is_plain(content) or (content.endswith(b"\r") and is_plain(content[:-1]))):
                records.append(Record(number, content.decode().removesuffix("\r"), is_plain=True))
            else:
                lines.start_row(line)
                record, row = _split_row(lines, opened.reader, self.columns, opened.skipped)
                if record is not None:
                    records.append(record)
                    size += len(record.source)  # of a row over many lines
                    if row is not None:
                        split.append((record, row))
            is_full = not lines.waiting or len(records) >= LINES_AT_ONCE or size > CHUNK
            line = None if is_full else lines.waiting.popleft()


class _CsvLines:
    """Feeds the csv module, and remembers what it has taken since the last row.

    `waiting` are the lines of the present slice that are left; `has_slices` says whether it is not the last
    one. Raises UnclosedQuote when a row goes on for more than 1 MiB of lines.
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
class _OpenedFile:
    """A CSV file whose header has been read.

    Rows with nothing in a `skipped` column are left out, `plain` lines need no reading.
    """

    lines: _CsvLines
    reader: Iterator[list[str]]
    names: Sequence[str]
    delimiter: str
    skipped: Sequence[int] = ()
    plain: re.Pattern[bytes] | None = None


def _open_csv(file: InputFile, options: ReadingOptions) -> _OpenedFile:
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
    return _OpenedFile(lines, reader, names, delimiter or ",")


def split_line(line: str, delimiter: str, options: ReadingOptions) -> list[str]:
    """Return the values of a line without quotes; the last of the named columns has the rest of the line."""
    return line.rstrip("\r\n").split(delimiter, len(options.columns) - 1 if options.columns else -1)


def _delimiter_of(header: str) -> str:
    """Return the delimiter that comes most often in the header, outside of quotes; the comma in doubt."""
    unquoted = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=unquoted.count)


class Header:
    """The first line of a CSV file. Makes bodies of the rows below it.

    `names` are the names of the columns, empty for one that is ignored: one without a name, or one that is
    unknown if the options say so. Rows are `complete` unless the options rewrite them. Names are compared
    without regard to case. Raises UnreadableFile for a column that is unknown, comes twice, or is missing.
    """

    def __init__(
        self, names: Sequence[str], columns: Sequence[Column], options: ReadingOptions = DEFAULT_OPTIONS
    ) -> None:
        self.given_names = trimmed_all(names)
        self.rewriting: Rewriting | None = None
        if options.renamed or options.constants or options.replaced or options.is_safe:
            self.rewriting = Rewriting(self.given_names, options)
        self.is_complete = self.rewriting is None or not self.rewriting.changes_rows
        named = self.given_names if self.rewriting is None else self.rewriting.names
        self.names = [column_name(name, columns) for name in named]
        self.names = [_language_in_case(name, self.names, columns, options) for name in self.names]
        self.width = len(self.names)
        known = {column.name: column for column in columns}
        if options.ignores_unknown:
            for index, name in enumerate(self.names):
                if name not in known and name not in REJECT_COLUMNS and not localized_column(name, columns):
                    self.names[index] = ""
        cells: list[tuple[int, tuple[str, ...], ColumnType, str]] = []
        for index, name in enumerate(self.names):
            if name == "" or name in REJECT_COLUMNS:
                continue
            if self.names.index(name) != index:
                raise UnreadableFile(f"Line 1: the column {name} occurs twice.")
            column = known.get(name) or localized_column(name, columns)
            if column is None:
                raise UnreadableFile(f"Line 1: {unknown_column(name, columns)}")
            cells.append((index, tuple(name.split(".")), column.type, name))
        for column in columns:
            ways = [column, *(other for other in columns if other.name == column.alternative)]
            if column.is_required and not any(_is_named(way, name) for way in ways for name in self.names):
                shown = " or ".join(map(shown_name, ways))
                raise UnreadableFile(f"Line 1: the column {shown} is missing.")
        self.id_names = [
            name for index, path, _, name in cells if len(path) == 1 and name in known and known[name].is_id
        ]
        self.ids = [index for index, _, _, name in cells if name in known and known[name].is_id]
        self.flat = [
            (index, path[0]) for index, path, kind, _ in cells if len(path) == 1 and READERS[kind] is None
        ]
        self.named = [(index, name) for index, _, _, name in cells]
        self.given = Given(frozenset(name for _, name in self.named))
        self.deep = [cell for cell in cells if len(cell[1]) > 1 or READERS[cell[2]] is not None]

    def may_span_lines(self, row: Sequence[str]) -> bool:
        """Say whether a row over several lines can be one: it has all values, and no id has a line break."""
        return len(row) == self.width and not any("\n" in row[index] for index in self.ids)

    def read_rows(self, rows: Iterable[tuple[Record, Sequence[str]]]) -> None:
        """Give each record the body that its row is, or the error that names what cannot be read."""
        bodies: list[JsonObject] = []
        for record, row in rows:
            try:
                body, record.given = self.read(row)
            except InvalidInput as error:
                record.error = error
            else:
                if not (joined := "".join(row)).isascii() or "\\u" in joined:
                    body = normalized_object(body)
                record.body = body
                bodies.append(body)
        for name in self.id_names:
            named = [body for body in bodies if name in body]
            for body, text in zip(named, trimmed_all([body[name] for body in named]), strict=True):
                body[name] = text

    def read(self, row: Sequence[str]) -> tuple[JsonObject, Given]:
        """Return the row as a body, its ids not trimmed, and what it says: an empty value empties its column.

        Raises InvalidInput naming the column that cannot be read.
        """
        if len(row) != self.width:
            values, columns = (
                f"{count} {noun}{'' if count == 1 else 's'}"
                for count, noun in ((len(row), "value"), (len(self.given_names), "column"))
            )
            raise InvalidInput(f"The line has {values}, the header has {columns}.")
        emptied = tuple([name for index, name in self.named if row[index] == ""])
        given = Given(self.given.names, emptied) if emptied else self.given
        body: JsonObject = {name: row[index] for index, name in self.flat if row[index] != ""}
        for index, path, kind, name in self.deep:
            text = row[index]
            if text == "":
                continue
            value = read_cell(name, kind, text)
            if READERS[kind] is None and index in self.ids:
                value = trimmed(text)
            place = body
            for part in path[:-1]:
                place = place.setdefault(part, {})
                if not isinstance(place, dict):
                    raise InvalidInput(f"{name} contradicts another column.", field=name)
            place[path[-1]] = value
        return body, given


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
    if header.rewriting is not None and not header.is_complete:
        row = header.rewriting.row(row)
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


def trimmed_all(texts: Sequence[str]) -> list[str]:
    """Return the texts trimmed; most of the time one look at all of them shows that nothing is to be done."""
    joined = "".join(texts)
    if joined.isascii() and joined.isprintable() and " " not in joined:
        return list(texts)
    return [trimmed(text) for text in texts]


def column_name(name: str, columns: Sequence[Column]) -> str:
    """Return the name as the column has it, whatever its case in the file."""
    if any(name == column.name for column in columns) or name in REJECT_COLUMNS:
        return name
    prefix, separator, language = name.rpartition(".")
    for column in columns:
        if column.type is ColumnType.LOCALIZED:
            if separator and prefix.lower() == column.name.lower():
                return f"{column.name}.{language}"
        elif name.lower() == column.name.lower():
            return column.name
    return name


def _language_in_case(
    name: str, names: Sequence[str], columns: Sequence[Column], options: ReadingOptions
) -> str:
    """Return the name with its language as the tenant has it, unless another column has that already."""
    column = localized_column(name, columns)
    if column is None:
        return name
    for language in options.languages:
        meant = f"{column.name}.{language}"
        if meant.lower() == name.lower() and meant not in names:
            return meant
    return name


def localized_column(name: str, columns: Sequence[Column]) -> Column | None:
    prefix, separator, language = name.rpartition(".")
    if not separator or not language:
        return None
    return next(
        (column for column in columns if column.type is ColumnType.LOCALIZED and column.name == prefix), None
    )


def _is_named(column: Column, name: str) -> bool:
    if column.type is ColumnType.LOCALIZED:
        return name.startswith(f"{column.name}.")
    return name == column.name
