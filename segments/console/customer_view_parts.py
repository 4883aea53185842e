"""What packages above add to the page that shows the shop as a customer."""

from collections.abc import Callable
from dataclasses import dataclass

from segments.customer_view import CustomerView


@dataclass(frozen=True, slots=True)
class UsableThing:
    """Something that the customer may use or not: its id, name, key, and the reasons against it."""

    id: str
    name: str
    key: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UsablePart:
    """A type of things, for users with the right. `things` returns some that concern the customer."""

    type: str
    right: str
    things: Callable[[CustomerView], list[UsableThing]]


_parts: dict[str, UsablePart] = {}


def register_usable(part: UsablePart) -> None:
    """Have the page show these things as well."""
    if _parts.setdefault(part.type, part) is not part:
        raise ValueError(f"There are two parts of type {part.type}.")


def registered_usable() -> list[UsablePart]:
    return list(_parts.values())
