"""The rows of JSON Lines and of JSON arrays, and what columns their objects have."""

from collections.abc import Generator, Iterator, Mapping, Sequence

import orjson

from core.errors import InvalidInput
from core.imports.columns import (
    DEFAULT_OPTIONS,
    REJECTED,
    Column,
    ColumnType,
    Given,
    ReadingOptions,
    UnknownField,
    member_at,
    put,
    read_cell,
    unknown_column,
)
from core.imports.csv_rows import column_name, localized_column
from core.imports.files import CHUNK, LINES_AT_ONCE, Format, InputFile, UnreadableFile
from core.imports.json_arrays import array_entries
from core.imports.plain_rows import PlainRow
from core.imports.rows import (
    ENCODING_HINT,
    NUL,
    BrokenLine,
    FileHeader,
    Record,
    RecordFile,
    WrongEncoding,
)
from core.json_types import JsonObject
from core.json_values import DEEPEST, has_escape, holds_nul, is_nested_too_deeply, repeated_name
from core.text import FREE_FIELD, is_normalized_utf8, normalized, normalized_object


class JsonFile(RecordFile):
    """The objects of a file of JSON Lines or of an array; without those that the options leave out.

    A text in place of a localized member is one of the default language.
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
        self.read = read_json_array if kind is Format.JSON else read_json_lines
        self.columns = JsonColumns(columns, default_language, options)
        self.header = FileHeader()
        self.has_more = True

    def slices(self) -> Generator[list[Record]]:
        self.has_more = True
        return self._slices(self.read(self.file, self.columns))

    def _slices(self, found: Iterator[Record]) -> Generator[list[Record]]:
        records: list[Record] = []
        size = 0
        try:
            for record in found:
                if record.body is not None and not _has_all(record.body, self.options):
                    continue
                records.append(record)
                size += len(record.source)
                if len(records) == LINES_AT_ONCE or size > CHUNK:
                    yield records
                    records, size = [], 0
        except UnreadableFile:
            if records:
                yield records
            raise
        self.has_more = False
        yield records


def read_json_lines(file: InputFile, given_by: "JsonColumns") -> Iterator[Record]:
    """Yield the objects of a JSON Lines file; empty lines are skipped."""
    for number, content, is_too_long in file.lines():
        if content.strip():
            yield _json_record(number, "Line", content, given_by, is_too_long=is_too_long)


def read_json_array(file: InputFile, given_by: "JsonColumns") -> Iterator[Record]:
    """Yield the objects of a JSON array, numbered from 1."""
    for number, content in enumerate(array_entries(file.pieces()), 1):
        if content is None:
            cut_off = BrokenLine("The array is not closed, so the file may have been cut off.")
            yield Record(number, "", error=cut_off)
        else:
            yield _json_record(number, "Entry", content, given_by)


def _json_record(
    number: int, unit: str, content: bytes, given_by: "JsonColumns", *, is_too_long: bool = False
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
    elif is_nested_too_deeply(content):
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
        else:
            if has_escape(content, b"\\u") or not is_normalized_utf8(content):
                record.body = normalized_object(record.body)
    return record


def _has_all(body: Mapping[str, object], options: ReadingOptions) -> bool:
    """Say whether a body has something in each of the columns without which it is left out."""
    return not any(member_at(body, name) in (None, "", {}, []) for name in options.skipped_without)


class JsonColumns:
    """Tells which columns a body of JSON has, once for all rows of a file.

    A member that is null empties its column, or all columns whose path leads through it. Of a localized
    member each language is a column of its own; a text stands for the default language. A member that is no
    column is refused, unless the options ignore what is unknown.
    """

    def __init__(self, columns: Sequence[Column], default_language: str, options: ReadingOptions) -> None:
        self.default_language = default_language
        self.options = options
        self.listed = columns
        self.constants = [(name.split("."), value) for name, value in constant_values(columns, options)]
        self.whole = {column.name for column in columns}
        self.above = {
            ".".join(path[:length])
            for path in (column.name.split(".") for column in columns)
            for length in range(1, len(path))
        }
        self.columns = [
            (column.name, tuple(column.name.split(".")), column.type is ColumnType.LOCALIZED)
            for column in columns
        ]

    def __call__(self, body: Mapping[str, object]) -> tuple[Mapping[str, object], Given]:
        """Return the body, its localized members as maps without nulls, and what it says.

        Raises UnknownField.
        """
        if self.options.renamed:
            body = self._renamed(body)
        body = self._known(body)
        for place, value in self.constants:
            put(body, place, value)
        names: list[str] = []
        emptied: list[str] = []
        maps: JsonObject = {}
        for name, path, is_localized in self.columns:
            if path[0] not in body:
                continue
            found = body
            for part in path:
                if not isinstance(found, Mapping) or part not in found:
                    break
                found = found[part]
                if found is None:
                    names.append(name)
                    emptied.append(name)
                    break
            else:
                if is_localized and isinstance(found, str):
                    found = maps[name] = {self.default_language: found}
                if is_localized and isinstance(found, Mapping):
                    names += [f"{name}.{language}" for language in found]
                    if nulls := [language for language, text in found.items() if text is None]:
                        emptied += [f"{name}.{language}" for language in nulls]
                        maps[name] = {key: text for key, text in found.items() if text is not None} or None
                    continue
                names.append(name)
                if found in ("", {}, []):
                    emptied.append(name)
        return ({**body, **maps} if maps else body), Given(frozenset(names), tuple(emptied))

    def _known(self, body: Mapping[str, object], above: str = "") -> JsonObject:
        """Return the body with the members that are columns; raise UnknownField for another one."""
        kept = {}
        for name, value in body.items():
            path = f"{above}{name}"
            if path in self.whole:
                kept[name] = value
            elif path in self.above:
                kept[name] = self._known(value, f"{path}.") if isinstance(value, Mapping) else value
            elif not self.options.ignores_unknown and path != REJECTED:
                raise UnknownField(path, self.listed)
        return kept

    def _renamed(self, body: Mapping[str, object]) -> JsonObject:
        """Return the body with the members of `renamed` in the places of their columns."""
        found = [(column, member_at(body, name)) for name, column in self.options.renamed]
        moved = {name.partition(".")[0] for name, _ in self.options.renamed}
        whole = {name: value for name, value in body.items() if name not in moved}
        for column, value in found:
            if column and value is not None:
                put(whole, column.split("."), value)
        return whole


def constant_values(columns: Sequence[Column], options: ReadingOptions) -> list[tuple[str, object]]:
    """Return the columns with the values that all rows have, as JSON has them."""
    types = {column.name: column.type for column in columns}
    values = []
    for name, text in options.constants:
        name = column_name(name, columns)
        column = localized_column(name, columns)
        if name not in types and column is None:
            raise UnreadableFile(f"--set: {unknown_column(name, columns)}")
        if not name.endswith(FREE_FIELD):
            text = normalized(text)
        try:
            values.append((name, read_cell(name, column.type if column else types[name], text)))
        except InvalidInput as error:
            raise UnreadableFile(f"--set: {error.message}") from None
    return values
