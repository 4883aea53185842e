"""What belongs to one customer: apps register how it is erased, and how it is exported."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from core.json_types import JsonObject
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows
from core.timestamps import format_time

LEAST_MARK = 2  # characters
LEAST_NUMBER = 6  # digits


@dataclass(frozen=True, slots=True)
class CustomerTrace:
    """One customer, and by which texts rows that do not refer to them can be found.

    `marks` are the number, and the e-mail, the telephone number and the names, as far as there are any.
    """

    tenant_id: int
    customer_id: int
    number: str
    pseudonym: str
    marks: tuple[str, ...]

    def mentioned_in(self, text: Sql) -> Sql:
        """Return the condition that a text has one of the marks as a word of its own, in any case.

        JSON writes some characters in another way, and CSV doubles quotes: those forms count too.
        """
        return mentions(text, self.marks)

    def clearly_mentioned_in(self, text: Sql) -> Sql:
        """Return the same condition, without marks that are short numbers: texts are full of those."""
        marks = [mark for mark in self.marks if not (mark.isdigit() and len(mark) < LEAST_NUMBER)]
        return mentions(text, marks)


def mentions(text: Sql, marks: Sequence[str]) -> Sql:
    if not marks:
        return Sql("FALSE")
    return sql("{text} ~* {pattern}", text=text, pattern=param(pattern_of(marks)))


def pattern_of(marks: Iterable[str]) -> str:
    """Return a regular expression of PostgreSQL that finds any of the marks as words of their own."""
    forms = {form for mark in marks for form in written_forms(mark)}
    alternatives = "|".join(escaped(form) for form in sorted(forms))
    return rf"(^|[^[:alnum:]])({alternatives})($|[^[:alnum:]])"


def marks_of(values: Iterable[str | None]) -> tuple[str, ...]:
    """Return those of a customer's texts that are long enough to be looked for."""
    return tuple(
        dict.fromkeys(value.strip() for value in values if value and len(value.strip()) >= LEAST_MARK)
    )


def written_forms(mark: str) -> set[str]:
    """Return how a text may stand in CSV and JSON."""
    ascii_json = re.sub(
        r"[^\x00-\x7f]",
        lambda found: "".join(
            f"\\u{int.from_bytes(found[0].encode('utf-16-be')[at : at + 2]):04x}"
            for at in range(0, len(found[0].encode("utf-16-be")), 2)
        ),
        orjson.dumps(mark).decode()[1:-1],
    )
    return {mark, mark.replace('"', '""'), orjson.dumps(mark).decode()[1:-1], ascii_json}


def escaped(text: str) -> str:
    """Return a regular expression of PostgreSQL that means the text."""
    return re.sub(r"([^\w\s])", r"\\\1", text)


@dataclass(frozen=True, slots=True)
class Eraser:
    """Erases what one app holds of a customer, in the transaction of the erasure.

    `lock` takes locks that come before the customer's row in docs/locking.md; it is given the tenant and the
    number. `erase` returns how many rows of what were erased. With `is_last` it runs after the customer has
    been deleted, for records that the deletion itself makes.
    """

    name: str
    erase: Callable[[CustomerTrace], dict[str, int]]
    lock: Callable[[int, str], object] | None = None
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Exporter:
    """Tells what one app holds of a customer, as JSON values by name."""

    name: str
    export: Callable[[CustomerTrace], JsonObject]


def exported(columns: Mapping[str, str], source: Sql, *, documents: Sequence[str] = ()) -> list[JsonObject]:
    """Return the rows of a FROM, with all that follows it, as JSON objects.

    `columns` maps the names of their members to expressions; `documents` are those that are JSON.
    """
    rows = []
    chosen = Sql(", ".join(columns.values()))
    for row in fetch_rows(sql("SELECT {columns} {source}", columns=chosen, source=source)):
        values = dict(zip(columns, row, strict=True))
        for name in documents:
            values[name] = values[name] and orjson.loads(values[name])
        rows.append(
            {
                name: format_time(value) if isinstance(value, datetime) else value
                for name, value in values.items()
            }
        )
    return rows


_erasers: dict[str, Eraser] = {}
_exporters: dict[str, Exporter] = {}


def register_eraser(eraser: Eraser) -> None:
    _erasers[eraser.name] = eraser


def register_exporter(exporter: Exporter) -> None:
    _exporters[exporter.name] = exporter


def registered_erasers() -> tuple[Eraser, ...]:
    """Return the erasers in the order of their registration, those that are last behind the others."""
    return tuple(sorted(_erasers.values(), key=lambda eraser: eraser.is_last))


def registered_exporters() -> tuple[Exporter, ...]:
    return tuple(_exporters.values())
