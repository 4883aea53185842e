"""Columns of a CSV file: each is a path into the JSON body that the API takes for the same thing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

import orjson

from core.errors import InvalidInput
from core.imports.files import UnreadableFile

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

    `is_id` columns name something by its id, which holds no line break.
    """

    name: str
    type: ColumnType = ColumnType.TEXT
    is_required: bool = False
    is_id: bool = False
    note: str = ""
    is_exported: bool = True


EXPECTED_VERSION = Column(
    "metadata.version", ColumnType.WHOLE, note="refused when another version is stored", is_exported=False
)


def read_whole(text: str) -> int:
    return int(text)


def read_number(text: str) -> Decimal | int:
    """Return the number exactly as it is written."""
    if text.lstrip("-").isdecimal():
        return int(text)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    if not number.is_finite():
        raise ValueError(text)
    return number


def read_flag(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def read_list(text: str) -> list[str]:
    return [part.strip() for part in text.split("|") if part.strip()]


READERS: dict[ColumnType, Callable[[str], Any] | None] = {
    ColumnType.TEXT: None,
    ColumnType.TIME: None,
    ColumnType.LOCALIZED: None,
    ColumnType.WHOLE: read_whole,
    ColumnType.NUMBER: read_number,
    ColumnType.FLAG: read_flag,
    ColumnType.JSON: orjson.loads,
    ColumnType.LIST: read_list,
}


class Header:
    """The first line of a CSV file, understood. Makes bodies of the rows below it.

    Raises UnreadableFile for a column that is unknown, that comes twice, or that is missing.
    """

    def __init__(self, names: Sequence[str], columns: Sequence[Column]) -> None:
        self.names = [name.strip() for name in names]
        self.width = len(self.names)
        known = {column.name: column for column in columns}
        cells: list[tuple[int, tuple[str, ...], ColumnType, str]] = []
        for index, name in enumerate(self.names):
            if self.names.index(name) != index:
                raise UnreadableFile(f"Line 1: the column {name} stands there twice.")
            if name in REJECT_COLUMNS:
                continue
            column = known.get(name) or _localized(name, columns)
            if column is None:
                listed = ", ".join(shown_name(column) for column in columns)
                raise UnreadableFile(f"Line 1: there is no column {name!r}. The columns are: {listed}.")
            cells.append((index, tuple(name.split(".")), column.type, name))
        for column in columns:
            if column.is_required and not any(_is_named(column, name) for name in self.names):
                raise UnreadableFile(f"Line 1: the column {shown_name(column)} is missing.")
        self.ids = [index for index, _, _, name in cells if name in known and known[name].is_id]
        self.flat = [
            (index, path[0]) for index, path, kind, _ in cells if len(path) == 1 and READERS[kind] is None
        ]
        self.deep = [cell for cell in cells if len(cell[1]) > 1 or READERS[cell[2]] is not None]

    def may_span_lines(self, row: Sequence[str]) -> bool:
        """Say whether a row over several lines can be one: it has all values, and no id has a line break."""
        return len(row) == self.width and not any("\n" in row[index] for index in self.ids)

    def body(self, row: Sequence[str]) -> dict[str, Any]:
        """Return the row as a body; raise InvalidInput naming the column that cannot be read."""
        if len(row) != self.width:
            raise InvalidInput(f"The line has {len(row)} values, the header has {self.width} columns.")
        body: dict[str, Any] = {name: row[index] for index, name in self.flat if row[index] != ""}
        for index, path, kind, name in self.deep:
            text = row[index]
            if text == "":
                continue
            reader = READERS[kind]
            try:
                value = text if reader is None else reader(text)
            except (ValueError, KeyError):
                raise InvalidInput(f"{name} is no {kind.value}: {text[:100]!r}.", field=name) from None
            place = body
            for part in path[:-1]:
                place = place.setdefault(part, {})
                if not isinstance(place, dict):
                    raise InvalidInput(f"{name} contradicts another column.", field=name)
            place[path[-1]] = value
        return body


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
