"""The rows of JSON Lines and of JSON arrays."""

from collections.abc import Iterator, Mapping

import orjson

from core.imports.columns import BodyColumns, ReadingOptions, UnknownField, member_at
from core.imports.files import CHUNK, LINES_AT_ONCE, InputFile, UnreadableFile
from core.imports.json_arrays import array_entries
from core.imports.rows import ENCODING_HINT, NUL, BrokenLine, Record, WrongEncoding
from core.json_values import DEEPEST, holds_nul, is_nested_too_deeply, repeated_name


class JsonReading:
    """Hands out the objects of a file some at a time; without those that the options leave out."""

    def __init__(self, records: Iterator[Record], options: ReadingOptions) -> None:
        self.records = (record for record in records if record.body is None or _has_all(record.body, options))
        self.has_more = True
        self.failure: UnreadableFile | None = None

    def next_slice(self) -> list[Record]:
        if self.failure is not None:
            raise self.failure
        records: list[Record] = []
        size = 0
        try:
            for record in self.records:
                records.append(record)
                size += len(record.source)
                if len(records) == LINES_AT_ONCE or size > CHUNK:
                    return records
        except UnreadableFile as error:
            if not records:
                raise
            self.failure = error
            return records
        self.has_more = False
        return records


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
