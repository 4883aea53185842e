"""Rules as rows of field, test and value in groups: all of the groups must hold, of each any of its rows.

What people fill in and the text of the language `q` are made from each other here. A text may nest deeper
than rows can show; then it has no rows.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.errors import InvalidInput
from core.representation.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Equals,
    Exists,
    IsNull,
    Matches,
    Missing,
    Negation,
    OneOf,
    QuerySyntaxError,
    Range,
    Term,
    Test,
    Top,
    Value,
)
from core.representation.query_language import parse
from core.representation.query_writing import write_query, write_test, write_value
from core.text import normalized
from segments.rules.compiler import BOUNDS

IS, IS_NOT = "is", "is_not"
AT_LEAST, MORE, AT_MOST, LESS = "at_least", "more", "at_most", "less"
BETWEEN, KNOWN, UNKNOWN, MATCHES, TOP = "between", "known", "unknown", "matches", "top"
OPERATORS = {AT_LEAST: ">=", MORE: ">", AT_MOST: "<=", LESS: "<"}
WITHOUT_VALUE = (KNOWN, UNKNOWN)
TESTS = (IS, IS_NOT, AT_LEAST, MORE, AT_MOST, LESS, BETWEEN, KNOWN, UNKNOWN, MATCHES, TOP)

_PLAIN = re.compile(r"[^\s()\",<>~][^\s()\",]*")
_QUOTED = re.compile(r'"(?:[^"\\]|\\["\\])*"')
_ENTRY = re.compile(r'\s*("(?:[^"\\]|\\["\\])*"|[^",]+)\s*(?:,|\Z)')
_TOP = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,4})?)\s*(%?)")
_ESCAPE = re.compile(r"\\(.)")


class RowFault(InvalidInput):
    """A row that cannot be read: which one, in which group, both from 0."""

    code = "faulty_row"

    def __init__(self, message: str, group: int, row: int):
        super().__init__(message)
        self.group = group
        self.row = row


@dataclass(slots=True)
class Row:
    """A field, a test of it (one of TESTS) and the value of the test, as a person writes it."""

    field: str = ""
    test: str = IS
    value: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.field.strip() and not self.value.strip()


Groups = list[list[Row]]


def text_of(groups: Sequence[Sequence[Row]]) -> str:
    """Return the rule as text; rows without a field and a value are left out. Raises RowFault."""
    conditions: list[Condition] = []
    for number, rows in enumerate(groups):
        alternatives = [_condition(row, number, place) for place, row in enumerate(rows) if not row.is_empty]
        if alternatives:
            conditions.append(alternatives[0] if len(alternatives) == 1 else AnyOf(tuple(alternatives)))
    return write_query(conditions)


def groups_of(text: str) -> Groups | None:
    """Return the rows of a text; None when it nests deeper. Raises QuerySyntaxError."""
    groups: Groups = []
    for condition in _flattened(parse(text, bounds=BOUNDS)):
        alternatives = condition.operands if isinstance(condition, AnyOf) else (condition,)
        rows = [_row(one) for one in alternatives]
        if None in rows:
            return None
        groups.append([row for row in rows if row is not None])
    return groups


def place_of(groups: Sequence[Sequence[Row]], text: str, position: int) -> tuple[int, int] | None:
    """Return the group and the row of the term at a position of the text that these rows make."""
    places = [
        (number, place)
        for number, rows in enumerate(groups)
        for place, row in enumerate(rows)
        if not row.is_empty
    ]
    begins = [term.position for term in _terms(parse(text, bounds=BOUNDS))]
    found = [place for place, begin in zip(places, begins, strict=True) if begin <= position]
    return found[-1] if found else None


def _flattened(conditions: Iterable[Condition]) -> Iterator[Condition]:
    for condition in conditions:
        if isinstance(condition, AllOf):
            yield from _flattened(condition.operands)
        else:
            yield condition


def _terms(conditions: Iterable[Condition]) -> Iterator[Term]:
    for condition in conditions:
        match condition:
            case Term():
                yield condition
            case AllOf(operands) | AnyOf(operands):
                yield from _terms(operands)
            case Negation(operand):
                yield from _terms((operand,))


# From a row to a condition


def _condition(row: Row, group: int, place: int) -> Condition:
    name, value = normalized(row.field.strip()), normalized(row.value.strip())
    if not name:
        raise RowFault("Choose a field.", group, place)
    if not value and row.test not in WITHOUT_VALUE:
        raise RowFault("Enter a value.", group, place)
    test = _test(row.test, value)
    if test is None:
        raise RowFault(REASONS.get(row.test, "This value cannot be read."), group, place)
    term = Term(tuple(name.split(".")), test)
    try:
        is_one_term = parse(write_query([term]), bounds=BOUNDS) == (term,)
    except QuerySyntaxError as fault:
        reason = fault.message.partition(": ")[2]
        raise RowFault(reason[:1].upper() + reason[1:], group, place) from None
    if not is_one_term:
        raise RowFault("Write the field as in the list, such as mixins.loyalty.tier.", group, place)
    return Negation(term) if row.test == IS_NOT else term


REASONS = {
    BETWEEN: "Write two values with a comma between them.",
    TOP: "Write a number such as 500, or a part such as 10%.",
    IS: "Separate values by commas; write those with commas or quotes inside in double quotes.",
    IS_NOT: "Separate values by commas; write those with commas or quotes inside in double quotes.",
}


def _test(kind: str, text: str) -> Test | None:
    match kind:
        case "known":
            return Exists()
        case "unknown":
            return Missing()
        case "matches":
            return Matches(text)
        case "top":
            top = _TOP.fullmatch(text)
            return Top(Decimal(top[1]), bool(top[2])) if top else None
    values = _values(text)
    if values is None or kind not in TESTS:
        return None
    if kind in (IS, IS_NOT):
        return Equals(values[0]) if len(values) == 1 else OneOf(tuple(values))
    if kind == BETWEEN:
        if len(values) != 2:
            return None
        return Range((Comparison(">=", values[0]), Comparison("<=", values[1])))
    return Range((Comparison(OPERATORS[kind], values[0]),)) if len(values) == 1 else None


def _values(text: str) -> list[Value] | None:
    """Return the values of a list with commas; None when it cannot be read."""
    values, index = [], 0
    while index < len(text):
        entry = _ENTRY.match(text, index)
        if entry is None or not entry[1].strip():
            return None
        values.append(_value(entry[1].strip()))
        index = entry.end()
    return values


def _value(text: str) -> Value:
    if _QUOTED.fullmatch(text):
        return Value(_ESCAPE.sub(r"\1", text[1:-1]), quoted=True)
    is_word = (
        _PLAIN.fullmatch(text) and text not in ("null", "exists", "missing") and not text.startswith("=")
    )
    return Value(text, quoted=not is_word)


# From a condition to a row


def _row(condition: Condition) -> Row | None:
    match condition:
        case Term(path, test):
            shown = _shown(test)
            return Row(".".join(path), *shown) if shown else None
        case Negation(Term(path, (Equals() | OneOf()) as test)):
            return Row(".".join(path), IS_NOT, _shown_values(test))
    return None


def _shown(test: Test) -> tuple[str, str] | None:
    match test:
        case Equals() | OneOf():
            return IS, _shown_values(test)
        case Exists():
            return KNOWN, ""
        case Missing() | IsNull():
            return UNKNOWN, ""
        case Matches(pattern):
            return MATCHES, pattern
        case Top():
            return TOP, write_test(test).removeprefix("top(").removesuffix(")")
        case Range((comparison,)):
            kind = next(name for name, sign in OPERATORS.items() if sign == comparison.operator)
            return kind, _shown_value(comparison.value)
        case Range((Comparison(">=", least), Comparison("<=", most))):
            return BETWEEN, f"{_shown_value(least)}, {_shown_value(most)}"
    return None


def _shown_values(test: Equals | OneOf) -> str:
    values = (test.value,) if isinstance(test, Equals) else test.values
    return ", ".join(map(_shown_value, values))


def _shown_value(value: Value) -> str:
    """Return the value without quotes where it is read as the same without them."""
    if value.quoted and _values(value.text) == [value] and value.text == value.text.strip():
        return value.text
    return write_value(value)
