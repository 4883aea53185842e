"""Rows of files that name something by an e-mail address or a code instead of its id."""

from collections.abc import Mapping

from core.errors import InvalidInput
from core.text import normalized, trimmed

STAND_IN = "-"
"""Read in place of an id that a row lacks, and never used."""


def other_name(body: Mapping[str, object], member: str, *, instead_of: str) -> str | None:
    """Return the other name of a row, as it is stored; None when it has the id. Refuses both of them."""
    value = body.get(member)
    if value is None:
        return None
    if body.get(instead_of) is not None:
        raise InvalidInput(f"Give {instead_of} or {member}, not both.", field=member)
    if not (found := as_stored(value)):
        raise InvalidInput(f"{member} must be a text.", field=member)
    return found


def as_stored(value: object) -> str | None:
    """Return a text in the form in which texts are stored; None for what is no text."""
    return normalized(trimmed(value)) if isinstance(value, str) else None
