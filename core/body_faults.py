"""What is wrong with a value of a simple type, in the words that follow the name of its field."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated

import msgspec
from msgspec import Meta, inspect

from core.text import ID_AS_STORED

DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
NO_TEXT = "must be a text"  # said even where a type has a message of its own
NUMBERS = (int, float, Decimal, str)  # and what is written as one


def faults(kind: inspect.Type, value: object) -> Iterator[str]:
    """Yield what is wrong with a value of a simple type, as it follows the field's name."""
    match kind:
        case inspect.StrType():
            if not isinstance(value, str):
                yield NO_TEXT
            elif kind.min_length and len(value) < kind.min_length:
                yield "must not be empty" if kind.min_length == 1 else f"needs {kind.min_length} characters"
            elif kind.max_length is not None and len(value) > kind.max_length:
                yield f"is longer than {kind.max_length} characters"
            elif kind.pattern is not None and not matches(kind, value):
                yield "cannot be an id" if kind.pattern == ID_AS_STORED else f"must match {kind.pattern}"
        case inspect.DateType():
            if not is_date(value):
                yield "must be a date such as 2024-01-31"
        case inspect.BoolType():
            if not isinstance(value, bool):
                yield "must be true or false"
        case inspect.IntType():
            if isinstance(value, bool) or not isinstance(value, int):
                yield "must be a whole number"
            else:
                yield from out_of_bounds(kind, value)
        case inspect.FloatType() | inspect.DecimalType():
            number = as_number(value)
            if number is None or (isinstance(kind, inspect.FloatType) and isinstance(value, str)):
                yield "must be a number"
            elif isinstance(kind, inspect.FloatType):
                yield from out_of_bounds(kind, number)
        case inspect.LiteralType() | inspect.EnumType():
            allowed = allowed_values(kind)
            if value not in allowed:
                *first, last = map(str, allowed)
                yield f"must be {', '.join(first)} or {last}" if first else f"must be {last}"


def matches(kind: inspect.StrType, value: str) -> bool:
    """Say whether msgspec accepts the text for its pattern."""
    try:
        msgspec.convert(value, Annotated[str, Meta(pattern=kind.pattern)])
    except msgspec.ValidationError:
        return False
    return True


def is_date(value: object) -> bool:
    try:
        return (
            isinstance(value, str) and DATE.fullmatch(value) is not None and bool(date.fromisoformat(value))
        )
    except ValueError:  # the 30th of February
        return False


def as_number(value: object) -> Decimal | None:
    """Return a finite number, however it was written; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, NUMBERS):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def out_of_bounds(kind: inspect.IntType | inspect.FloatType, value: int | Decimal) -> Iterator[str]:
    if (kind.ge is not None and value < kind.ge) or (kind.gt is not None and value <= kind.gt):
        yield f"must be at least {kind.ge}" if kind.ge is not None else f"must be greater than {kind.gt}"
    elif (kind.le is not None and value > kind.le) or (kind.lt is not None and value >= kind.lt):
        yield f"must be at most {kind.le}" if kind.le is not None else f"must be less than {kind.lt}"


def allowed_values(kind: inspect.LiteralType | inspect.EnumType) -> tuple[object, ...]:
    if isinstance(kind, inspect.LiteralType):
        return kind.values
    return tuple(member.value for member in kind.cls)
