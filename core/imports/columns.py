"""Columns of a CSV file: each is a path into the JSON body that the API takes for the same thing."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from core.text import FLAGS, FREE_FIELD, trimmed

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
    if is_nested_too_deeply(value, source):
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


class Header:
    """The first line of a CSV file. Makes bodies of the rows below it.

    `names` are the names of the columns, empty for one that is ignored: one without a name, or one that is
    unknown if the options say so. Columns that the options add come behind those of the file; `complete` adds
    their values to a row. Names are compared without regard to case. Raises UnreadableFile for a column that
    is unknown, that comes twice, or that is missing.
    """

    def __init__(
        self, names: Sequence[str], columns: Sequence[Column], options: ReadingOptions = DEFAULT_OPTIONS
    ) -> None:
        given = trimmed_all(names)
        renamed: dict[str, list[str]] = {}
        for name, target in options.renamed:
            renamed.setdefault(_name_among(name, given, "--map"), []).append(target)
        self.names = [_column_name(renamed.get(name, [name])[0], columns) for name in given]
        self.given_names = given
        self.given_width = len(given)
        self.is_safe = options.is_safe
        self.copied = [(given.index(name), target) for name, each in renamed.items() for target in each[1:]]
        self.constants = [value for _, value in options.constants]
        self.names += [_column_name(column, columns) for _, column in self.copied]
        self.names += [_column_name(column, columns) for column, _ in options.constants]
        self.replaced = {
            (given.index(_name_among(name, given, "--empty or --value")), text): new
            for name, text, new in options.replaced
        }
        self.is_complete = not (self.copied or self.constants or self.replaced or self.is_safe)
        self.names = [_language_in_case(name, self.names, columns, options) for name in self.names]
        self.width = len(self.names)
        known = {column.name: column for column in columns}
        if options.ignores_unknown:
            for index, name in enumerate(self.names):
                if name not in known and name not in REJECT_COLUMNS and not _localized(name, columns):
                    self.names[index] = ""
        cells: list[tuple[int, tuple[str, ...], ColumnType, str]] = []
        for index, name in enumerate(self.names):
            if name == "" or name in REJECT_COLUMNS:
                continue
            if self.names.index(name) != index:
                raise UnreadableFile(f"Line 1: the column {name} occurs twice.")
            column = known.get(name) or _localized(name, columns)
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

    def complete(self, row: list[str]) -> list[str]:
        """Return the row with the values that the options add, and without those that mean nothing."""
        if len(row) != self.given_width:
            return row
        if self.is_safe:
            row = [cell[1:] if APOSTROPHED.match(cell) else cell for cell in row]
        if self.replaced:
            row = [self.replaced.get((index, cell.strip()), cell) for index, cell in enumerate(row)]
        return [*row, *(row[index] for index, _ in self.copied), *self.constants]

    def read_rows(self, rows: Iterable[Sequence[str]]) -> list[tuple[JsonObject, Given] | InvalidInput]:
        """Return each row as a body, and what it says; or the error that names what cannot be read."""
        found: list[tuple[JsonObject, Given] | InvalidInput] = []
        for row in rows:
            try:
                found.append(self.read(row))
            except InvalidInput as error:
                found.append(error)
        bodies = [read[0] for read in found if not isinstance(read, InvalidInput)]
        for name in self.id_names:
            named = [body for body in bodies if name in body]
            for body, text in zip(named, trimmed_all([body[name] for body in named]), strict=True):
                body[name] = text
        return found

    def read(self, row: Sequence[str]) -> tuple[JsonObject, Given]:
        """Return the row as a body, its ids not trimmed, and what it says: an empty value empties its column.

        Raises InvalidInput naming the column that cannot be read.
        """
        if len(row) != self.width:
            values, columns = (
                f"{count} {noun}{'' if count == 1 else 's'}"
                for count, noun in ((len(row), "value"), (self.given_width, "column"))
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


class BodyColumns:
    """Tells which columns a body of JSON has, once for all rows of a file.

    A member that is null empties its column, or all columns whose path leads through it. Of a localized
    member each language is a column of its own; a text stands for the default language. A member that is no
    column is refused, unless the options ignore what is unknown.
    """

    def __init__(
        self, columns: Sequence[Column], default_language: str, options: ReadingOptions = DEFAULT_OPTIONS
    ) -> None:
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


def trimmed_all(texts: Sequence[str]) -> list[str]:
    """Return the texts trimmed; most of the time one look at all of them shows that nothing is to be done."""
    joined = "".join(texts)
    if joined.isascii() and joined.isprintable() and " " not in joined:
        return list(texts)
    return [trimmed(text) for text in texts]


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


def constant_values(columns: Sequence[Column], options: ReadingOptions) -> list[tuple[str, object]]:
    """Return the columns with the values that all rows have, as JSON has them."""
    types = {column.name: column.type for column in columns}
    values = []
    for name, text in options.constants:
        name = _column_name(name, columns)
        column = _localized(name, columns)
        if name not in types and column is None:
            raise UnreadableFile(f"--set: {unknown_column(name, columns)}")
        try:
            values.append((name, read_cell(name, column.type if column else types[name], text)))
        except InvalidInput as error:
            raise UnreadableFile(f"--set: {error.message}") from None
    return values


def _name_among(name: str, given: Sequence[str], flag: str) -> str:
    """Return the name as the header has it; the case counts only where two names differ in nothing else."""
    if name in given:
        return name
    found = [each for each in given if each.lower() == name.lower()]
    if len(found) != 1:
        raise UnreadableFile(f"Line 1: there is no column {name!r}, which {flag} names.")
    return found[0]


def _column_name(name: str, columns: Sequence[Column]) -> str:
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
    column = _localized(name, columns)
    if column is None:
        return name
    for language in options.languages:
        meant = f"{column.name}.{language}"
        if meant.lower() == name.lower() and meant not in names:
            return meant
    return name


def _localized(name: str, columns: Sequence[Column]) -> Column | None:
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


def shown_name(column: Column) -> str:
    return f"{column.name}.<language>" if column.type is ColumnType.LOCALIZED else column.name
