"""Columns of a CSV file: each is a path into the JSON body that the API takes for the same thing."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

import orjson

from core.errors import InvalidInput
from core.imports.files import UnreadableFile
from core.json_types import JsonObject
from core.json_values import DEEPEST, holds_nul, is_nested_too_deeply, repeated_name
from core.text import FLAGS, FREE_FIELD

REJECTED = "rejected"
REJECT_COLUMNS = ("rejected.line", "rejected.reason", "rejected.message")
"""What a file of rejects has beside the columns; ignored when such a file comes back corrected."""


class ColumnType(StrEnum):
    """How a column's text is read. An empty text means that the part is absent, whatever the type."""

    TEXT = "text"
    WHOLE = "whole number"
    NUMBER = "number"
    FLAG = "true or false"
    TIME = "time with offset"
    JSON = "JSON"
    LIST = "list separated by |"
    LOCALIZED = "text, one column a language"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name is the path of the body's member, its parts joined by dots.

    `is_id` columns name something by its id, which holds no line break. A required column may be missing
    where its `alternative` is there.
    """

    name: str
    type: ColumnType = ColumnType.TEXT
    is_required: bool = False
    is_id: bool = False
    note: str = ""
    is_exported: bool = True
    alternative: str = ""


def with_alternative(columns: Sequence[Column], name: str, alternative: str) -> tuple[Column, ...]:
    """Return the columns with one more, behind the column that it may stand in for."""
    extended: list[Column] = []
    for column in columns:
        if column.name == name:
            extended += [
                replace(column, alternative=alternative),
                Column(alternative, note=f"instead of {name}", is_exported=False),
            ]
        else:
            extended.append(column)
    return tuple(extended)


EXPECTED_VERSION = Column(
    "metadata.version", ColumnType.WHOLE, note="refused when another version is stored", is_exported=False
)


WHOLE = re.compile(r"[+-]?[0-9]{1,100}")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def read_whole(text: str) -> int:
    if not WHOLE.fullmatch(text.strip()):  # int() takes 1_000 and the digits of every script
        raise ValueError(text)
    return int(text)


def read_number(text: str) -> Decimal | int:
    """Return the number exactly as it is written."""
    if not NUMBER.fullmatch(text.strip()):
        raise ValueError(text)
    return int(text) if WHOLE.fullmatch(text) else Decimal(text)


LIST_SEPARATOR = "|"
APOSTROPHED = re.compile(r"'+[=+\-@\t\r0-9]")


def read_flag(text: str) -> bool:
    return FLAGS[text.strip().lower()]


def read_list(text: str) -> list[str]:
    """Return the parts of a list; one that cannot be written with separators is a JSON array of texts.

    A cell of only blanks and separators is refused: who may redeem must not become everybody by a slip.
    """
    if text.startswith("["):
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            found = None
        if isinstance(found, list) and all(isinstance(part, str) for part in found):
            return found
    parts = split_list(text)
    if not parts:
        raise ValueError("only separators")
    return parts


def split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(LIST_SEPARATOR) if part.strip()]


def written_list(parts: Sequence[str]) -> str:
    """Return the list as `read_list` reads it."""
    joined = LIST_SEPARATOR.join(parts)
    is_plain = bool(parts) and not joined.startswith("[") and split_list(joined) == list(parts)
    return joined if is_plain else orjson.dumps(list(parts)).decode()


READERS: dict[ColumnType, Callable[[str], object] | None] = {
    ColumnType.TEXT: None,
    ColumnType.TIME: None,
    ColumnType.LOCALIZED: None,
    ColumnType.WHOLE: read_whole,
    ColumnType.NUMBER: read_number,
    ColumnType.FLAG: read_flag,
    ColumnType.JSON: orjson.loads,
    ColumnType.LIST: read_list,
}


def read_cell(name: str, kind: ColumnType, text: str) -> Any:
    """Return what the text of a column says; raise InvalidInput naming the column when it cannot be read."""
    reader = READERS[kind]
    if reader is None:
        return text
    try:
        value = reader(text)
    except (ValueError, KeyError):
        raise InvalidInput(f"{name} is no {kind.value}: {text[:100]!r}.", field=name) from None
    source = text.encode()
    if is_nested_too_deeply(source):
        raise InvalidInput(f"{name} is nested more than {DEEPEST} levels deep.", field=name)
    if holds_nul(value, source):
        raise InvalidInput(f"{name} has a character that cannot be stored.", field=name)
    if kind is ColumnType.JSON and (member := repeated_name(value, source)) is not None:
        raise InvalidInput(f"{name} has the member {member!r} twice; keep one of them.", field=name)
    return value


class UnknownField(InvalidInput):
    """A row has a member that is no column."""

    code = "unknown_field"

    def __init__(self, name: str, columns: Sequence[Column]) -> None:
        super().__init__(
            f"{unknown_column(name, columns)} --ignore-unknown-columns leaves such members out.", field=name
        )


def unknown_column(name: str, columns: Sequence[Column]) -> str:
    """Return what is said of a name that is no column: the nearest one, or all there are."""
    shown = {shown_name(column).lower(): shown_name(column) for column in columns}
    nearest = get_close_matches(name.lower(), shown, n=1)
    hint = (
        f"Did you mean {shown[nearest[0]]}?" if nearest else f"The columns are: {', '.join(shown.values())}."
    )
    return f"There is no column {name!r}. {hint}"


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How a file is read.

    `renamed` are pairs of a name in the file and the column that it is read as; a name may be read as several
    columns, or as none (an empty text). `constants` are columns with the value that all rows have. Rows with
    an empty value in one of the columns of `skipped_without` are left out.

    Of CSV files: `delimiter` is told from the header when it is empty; one of several characters knows no
    quotes. `columns` are the names of a file that has no header. `replaced` are names in the file with a
    value and the one that it is read as. Lines that begin with `comment` are left out. `is_safe` files have
    an apostrophe before values that a spreadsheet would take for a number or formula. `languages` are the
    tenant's, which a header may have in another case.
    """

    delimiter: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    skipped_without: tuple[str, ...] = ()
    ignores_unknown: bool = False
    columns: tuple[str, ...] = ()
    replaced: tuple[tuple[str, str, str], ...] = ()
    comment: str = ""
    is_safe: bool = False
    languages: tuple[str, ...] = ()


DEFAULT_OPTIONS = ReadingOptions()


@dataclass(frozen=True, slots=True)
class Given:
    """What a row says: the names of the columns that it has, and of those that it empties."""

    names: frozenset[str]
    emptied: tuple[str, ...] = ()


class Rewriting:
    """What the options make of a CSV file: other `names` of its columns and further ones, and other values.

    Further columns come behind those of the file. Raises UnreadableFile for a name that the header lacks.
    """

    def __init__(self, given: list[str], options: ReadingOptions) -> None:
        renamed: dict[str, list[str]] = {}
        for name, target in options.renamed:
            renamed.setdefault(_name_among(name, given, "--map"), []).append(target)
        self.width = len(given)
        self.is_safe = options.is_safe
        self.copied = [(given.index(name), target) for name, each in renamed.items() for target in each[1:]]
        self.constants = [value for _, value in options.constants]
        self.names = [renamed.get(name, [name])[0] for name in given]
        self.names += [column for _, column in self.copied]
        self.names += [column for column, _ in options.constants]
        self.replaced = {
            (given.index(_name_among(name, given, "--empty or --value")), text): new
            for name, text, new in options.replaced
        }
        self.changes_rows = bool(self.copied or self.constants or self.replaced or self.is_safe)

    def row(self, row: list[str]) -> list[str]:
        """Return the row with the values that the options add, and without those that mean nothing."""
        if len(row) != self.width:
            return row
        if self.is_safe:
            row = [cell[1:] if APOSTROPHED.match(cell) else cell for cell in row]
        if self.replaced:
            row = [self.replaced.get((index, cell.strip()), cell) for index, cell in enumerate(row)]
        return [*row, *(row[index] for index, _ in self.copied), *self.constants]


def _name_among(name: str, given: Sequence[str], flag: str) -> str:
    """Return the name as the header has it; the case counts only where two names differ in nothing else."""
    if name in given:
        return name
    found = [each for each in given if each.lower() == name.lower()]
    if len(found) != 1:
        raise UnreadableFile(f"Line 1: there is no column {name!r}, which {flag} names.")
    return found[0]


def put(body: JsonObject, path: Sequence[str], value: object) -> None:
    """Set the member that the path leads to."""
    for part in path[:-1]:
        inner = body.get(part)
        body[part] = dict(inner) if isinstance(inner, Mapping) else {}
        body = body[part]
    body[path[-1]] = value


def completed(
    body: Mapping[str, object], given: Given, stored: Mapping[str, object], columns: Sequence[Column]
) -> JsonObject:
    """Return the body with what it does not say as it is stored. Members without a column come as given."""
    whole = _copied(stored)
    for name, value in body.items():
        if not any(column.name.partition(".")[0] == name for column in columns):
            whole[name] = value
    emptied = set(given.emptied)
    for name in given.names:
        *above, last = name.split(".")
        value = member_at(body, name)
        if name in emptied and not (last == FREE_FIELD and value == {}):
            value = None
        if value is None and member_at(stored, name) == "":
            continue  # an empty cell leaves an empty text as it is
        place = whole
        for part in above:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return _without_empty_objects(whole, columns)


def member_at(body: Mapping[str, object], name: str) -> Any:
    """Return the member that a column's name leads to, None when there is none."""
    found: object = body
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _without_empty_objects(body: JsonObject, columns: Sequence[Column]) -> JsonObject:
    """Leave out objects whose members are columns when none of these is left, as an absent part is."""
    paths = [column.name.split(".") for column in columns]
    above = {".".join(path[:length]) for path in paths for length in range(1, len(path))}

    def filled(value: JsonObject, prefix: str) -> JsonObject:
        kept: JsonObject = {}
        for name, part in value.items():
            path = f"{prefix}{name}"
            if path in above and isinstance(part, dict):
                part = filled(part, f"{path}.")
            if not (path in above and part == {}):
                kept[name] = part
        return kept

    return filled(body, "")


def _copied(value: Mapping[str, object]) -> JsonObject:
    return {name: _copied(part) if isinstance(part, dict) else part for name, part in value.items()}


def shown_name(column: Column) -> str:
    return f"{column.name}.<language>" if column.type is ColumnType.LOCALIZED else column.name
