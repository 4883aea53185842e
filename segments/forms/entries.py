"""What people paste or upload: customers, products or categories, in whatever way they are written."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import chain
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from core.admin.moments import read_moment
from core.imports.columns import READERS, Column
from core.json_types import JsonMapping, JsonObject
from core.text import trimmed

SEPARATORS = "\t;,|"
BETWEEN_WORDS = re.compile(rf"[\s{SEPARATORS}]+")
NAMES = "name"
MOST_IGNORED = 20
HEADINGS = {
    **dict.fromkeys(("customerid", "customernumber", "customer", "number", "kundennummer", "kunde"), NAMES),
    **dict.fromkeys(("id", "item", "productid", "product", "categoryid", "category", "produkt"), NAMES),
    **dict.fromkeys(("kategorie", "entry", "code", "sku"), NAMES),
    **dict.fromkeys(("email", "mail", "contactemail", "emailaddress"), NAMES),
    **dict.fromkeys(("legalentityid", "legalentity", "company", "companyid", "firma"), "company"),
    **dict.fromkeys(("validity.from", "validfrom", "from", "gültigab", "ab"), "from"),
    **dict.fromkeys(("validity.to", "validto", "to", "until", "gültigbis", "bis"), "to"),
}
"""What the columns of a list mean, by their headings in lower case without blanks and hyphens."""
NAMING = ("customerId", "contactEmail", "id", "code")
SPOKEN_FOR = {"segmentId", "legalEntityId", "validity.from", "validity.to", *NAMING}
"""The columns of the import that HEADINGS means already, and the segment, which is the page's."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a list: the entries on it; in a table the one entry with what else the row says of it."""

    number: int
    names: tuple[str, ...]
    company: str | None = None
    validity: JsonMapping = field(default_factory=dict)
    more: JsonMapping = field(default_factory=dict)
    fault: str = ""


class PastedList:
    """The lines of a text. `ignored` names the columns that mean nothing here, as far as it has been read.

    Besides the headings above, a table has the `columns` of the import, whose values are read as there.

    Entries are separated by line ends, tabs, semicolons, commas or bars, and quoted as in CSV. A first line
    of known headings makes it a table, of one entry a row. A line that begins with { is a JSON object.
    """

    def __init__(self, lines: Iterable[str], *, zone: tzinfo, columns: Sequence[Column] = ()) -> None:
        self.zone = zone
        self.ignored: list[str] = []
        self.columns = {one.name: one for one in columns if one.name not in SPOKEN_FOR}
        self._lines = lines

    def __iter__(self) -> Iterator[Line]:
        numbered = enumerate(self._lines, start=1)
        number, first = next(((number, line) for number, line in numbered if line.strip()), (0, ""))
        if not number:
            return
        lines = (line for _, line in numbered)
        if first.lstrip().startswith("{"):
            yield from self._json(first, lines, number)
            return
        separator = next((mark for mark in SEPARATORS if mark in first), None)
        header = cells_of(first, separator or ",")
        columns = [heading(cell) or self._column(cell) for cell in header]
        if NAMES in columns:
            self.ignored = [cell for cell, meaning in zip(header, columns, strict=True) if not meaning]
            yield from self._table(csv.reader(lines, delimiter=separator or ","), columns, number)
            return
        for line, text in enumerate(chain([first], lines), start=number):
            if names := names_of(text):
                yield Line(line, names)

    def _table(self, rows: Any, columns: list[str], above: int) -> Iterator[Line]:
        for cells in rows:
            row: dict[str, str] = {}
            for meaning, cell in zip(columns, cells, strict=False):
                if meaning and cell.strip() and meaning not in row:  # of a number and an e-mail the first
                    row[meaning] = trimmed(cell)
            if not any(cell.strip() for cell in cells):
                continue
            number = rows.line_num + above
            fault, validity, more = "", {}, {}
            try:
                validity = self._window(row)
                more = self._more(row)
            except ValidationError as refused:
                fault = " ".join(refused.messages)
            yield Line(number, (row.get(NAMES, ""),), row.get("company"), validity, more, fault)

    def _column(self, cell: str) -> str:
        """Return the column of the import that a heading names, whatever its case; empty for none."""
        wanted = trimmed(cell).lower()
        return next((name for name in self.columns if name.lower() == wanted), "")

    def _more(self, row: Mapping[str, str]) -> dict[str, object]:
        """Return what the other columns say, as a part of the body of a row of the import."""
        body: JsonObject = {}
        for name, text in row.items():
            if (column := self.columns.get(name)) is None:
                continue
            read = READERS[column.type]
            try:
                value = text if read is None else read(text)
            except (ValueError, KeyError, orjson.JSONDecodeError):
                raise ValidationError(
                    gettext("{column} is not {kind}: {text}").format(
                        column=name, kind=column.type.value, text=text[:40]
                    )
                ) from None
            *path, last = name.split(".")
            place = body
            for part in path:
                place = place.setdefault(part, {})
            place[last] = value
        return body

    def _window(self, row: Mapping[str, str]) -> dict[str, str]:
        return {
            name: self._moment(row[name], is_end=name == "to").isoformat()
            for name in ("from", "to")
            if name in row
        }

    def _moment(self, text: str, *, is_end: bool) -> datetime:
        if "T" in text or text.endswith("Z"):
            try:
                moment = datetime.fromisoformat(text)
                if moment.tzinfo is not None:
                    return moment.astimezone(UTC)
                text = text.replace("T", " ")  # without an offset it is a time of the site
            except (ValueError, OverflowError):
                pass
        day, _, clock = text.partition(" ") if text[:1].isdigit() and "-" in text else (text, "", "")
        return read_moment(day, clock, zone=self.zone, is_end=is_end)

    def _json(self, first: str, others: Iterator[str], start: int) -> Iterator[Line]:
        for number, text in enumerate(chain([first], others), start=start):
            if not text.strip():
                continue
            try:
                body = orjson.loads(text)
            except orjson.JSONDecodeError:
                yield Line(number, (text[:100],), fault="This line is no JSON object.")
                continue
            if not isinstance(body, dict):
                yield Line(number, (text[:100],), fault="This line is no JSON object.")
                continue
            name = next((body[key] for key in NAMING if body.get(key)), "")
            company, validity = body.get("legalEntityId"), body.get("validity")
            more = {key: value for key, value in body.items() if key in self._members}
            used = {*more, *NAMING, "segmentId", "legalEntityId", "validity"}
            self.ignored += [key for key in body if key not in used and key not in self.ignored][
                :MOST_IGNORED
            ]
            yield Line(number, (str(name),), company, validity if isinstance(validity, dict) else {}, more)

    @property
    def _members(self) -> set[str]:
        return {name.partition(".")[0] for name in self.columns}


def heading(cell: str) -> str:
    """Return what a heading means; empty when nothing here."""
    return HEADINGS.get(trimmed(cell).lower().replace(" ", "").replace("-", "").replace("_", ""), "")


def cells_of(text: str, separator: str) -> list[str]:
    """Return the cells of a line, without quotes and blanks around them."""
    try:
        [cells] = csv.reader([text.strip("\r\n")], delimiter=separator, skipinitialspace=True)
    except (csv.Error, ValueError):
        cells = text.split(separator)
    return [cell.strip() for cell in cells]


def names_of(text: str) -> tuple[str, ...]:
    """Return the entries on a line without columns: the texts between separators that are not empty."""
    separator = next((mark for mark in SEPARATORS if mark in text), ",")
    return tuple(name for cell in cells_of(text, separator) for name in _of_cell(cell))


def _of_cell(cell: str) -> Iterator[str]:
    """Yield the entries of a cell: an address in angle brackets, numbers and addresses between blanks."""
    if cell.endswith(">") and "<" in cell:
        cell = cell[cell.rindex("<") + 1 : -1]
    words = [word for word in BETWEEN_WORDS.split(cell) if word]
    if len(words) > 1 and all("@" in word or word.isdecimal() for word in words):
        yield from map(trimmed, words)
    elif trimmed(cell):
        yield trimmed(cell)
