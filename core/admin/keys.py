"""Primary keys as they arrive in addresses and forms, where anything may be written."""

from collections.abc import Iterable
from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db import models

Value = TypeVar("Value")
LARGEST_KEY = 2**63 - 1


def key_of(text: str) -> int | None:
    """Return the primary key that a parameter holds; None when it is no number that a key can have."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(LARGEST_KEY)):
        return None
    key = int(text)
    return key if key <= LARGEST_KEY else None


def usable_keys(field: models.Field, values: Iterable[Value]) -> list[Value]:
    """Return those of the values that the field can be compared with: the others would fail in a query."""
    return [value for value in values if _is_usable(field, value)]


def _is_usable(field: models.Field, value: object) -> bool:
    if isinstance(value, str) and "\0" in value:  # PostgreSQL has no text with it
        return False
    try:
        field.to_python(value)
    except ValidationError:
        return False
    return True
