"""What a `q` says: conditions, of terms with a field, a test and values.

Where something stood is no part of what it says, so positions are left out of comparisons.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from core.errors import InvalidInput
from core.representation.relative_instants import Clock, RelativeInstant
from core.timestamps import parse_time

_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")


class QuerySyntaxError(InvalidInput):
    """A faulty `q`: what is wrong, and at which character of it (`position`, counted from 1)."""

    code = "query_syntax_error"

    def __init__(self, reason: str, position: int):
        super().__init__(f"Fault in q at character {position}: {reason}.", field="q")
        self.position = position


@dataclass(frozen=True, slots=True)
class Value:
    """A value as written; what type it has depends on the field. `clock` is for instants relative to now."""

    text: str
    quoted: bool = False
    position: int = field(default=0, compare=False)
    clock: Clock | None = field(default=None, compare=False)

    @property
    def relative(self) -> RelativeInstant | None:
        """The value as an instant relative to now, such as `now-30d`; None for any other text."""
        return RelativeInstant.read(self.text)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The field is greater or less than the value; `operator` is one of `>`, `>=`, `<`, `<=`."""

    operator: str
    value: Value


@dataclass(frozen=True, slots=True)
class Equals:
    """The field equals the value."""

    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field equals one of the values, of which there is at least one."""

    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """All of the one or two comparisons hold."""

    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """A regular expression that the module regular_expressions accepts is found in the field."""

    pattern: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Top:
    """The field is among the greatest: so many, or so many percent of those that are above zero."""

    number: Decimal
    is_percent: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """The field is null or absent."""


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is present."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The field is absent."""


Test: TypeAlias = Equals | OneOf | Range | Matches | Top | IsNull | Exists | Missing


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: the test that the field at `path` must pass."""

    path: tuple[str, ...]
    test: Test
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of the operands hold."""

    operands: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the operands holds."""

    operands: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The operand does not hold; that includes a field that is absent."""

    operand: "Condition"


Condition: TypeAlias = Term | AllOf | AnyOf | Negation


def terms_of(conditions: Iterable[Condition]) -> Iterator[Term]:
    """Yield every term, however deep in a compound query."""
    for condition in conditions:
        match condition:
            case Term():
                yield condition
            case AllOf(operands) | AnyOf(operands):
                yield from terms_of(operands)
            case Negation(operand):
                yield from terms_of((operand,))


def as_number(value: Value) -> Decimal:
    """Return the exact number; raise QuerySyntaxError at the value if it is none."""
    if not _NUMBER.fullmatch(value.text):
        raise QuerySyntaxError("expected a number", position=value.position)
    return Decimal(value.text)


def as_boolean(value: Value) -> bool:
    """Return the truth value of `true` or `false`; raise QuerySyntaxError at the value if it is neither."""
    if value.text not in ("true", "false"):
        raise QuerySyntaxError("expected true or false", position=value.position)
    return value.text == "true"


def as_time(value: Value) -> datetime:
    """Return the instant in UTC; raise QuerySyntaxError at the value if it is none or has no offset."""
    if value.clock is not None and (relative := value.relative) is not None:
        try:
            return relative.at(value.clock)
        except OverflowError:
            raise QuerySyntaxError("this instant is not within the years 1 to 9999", value.position) from None
    try:
        return parse_time(value.text, field="the value")
    except InvalidInput as refused:
        reason = refused.message.removesuffix(".")
        if value.clock is not None:
            reason += ", or one relative to now such as now-30d or today"
        raise QuerySyntaxError(reason, position=value.position) from None
