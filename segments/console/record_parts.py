"""Tabs and numbers of a segment's page: this package's own, and those that packages above register."""

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.functional import Promise

from segments.models import Segment


@dataclass(frozen=True, slots=True)
class Tab:
    """A page about a segment, for users with the right. `path` names views on whose pages it is current."""

    name: str
    label: str | Promise
    order: int
    address: Callable[[Segment], str]
    right: str = "segments.view_segment"


@dataclass(frozen=True, slots=True)
class ShownNumber:
    """A number about a segment, in words, and the list that it counts; so with a number in its details."""

    number: str
    text: str
    url: str = ""
    details: str = ""
    details_url: str = ""


@dataclass(frozen=True, slots=True)
class RecordNumber:
    """Numbers about a segment, for users with the right."""

    name: str
    order: int
    right: str
    numbers: Callable[[Segment], list[ShownNumber]]


@dataclass(frozen=True, slots=True)
class Action:
    """A page that does something with a segment, as a button of its page, for users with the right."""

    name: str
    label: str | Promise
    address: Callable[[Segment], str]
    right: str


_actions: dict[str, Action] = {}
_tabs: dict[str, Tab] = {}
_numbers: dict[str, RecordNumber] = {}


def register_tab(tab: Tab) -> None:
    """Have the page of a segment lead to this one as well."""
    if _tabs.setdefault(tab.name, tab) is not tab:
        raise ValueError(f"There are two tabs named {tab.name}.")


def register_number(number: RecordNumber) -> None:
    """Have the page of a segment show these numbers as well."""
    if _numbers.setdefault(number.name, number) is not number:
        raise ValueError(f"There are two numbers named {number.name}.")


def register_action(action: Action) -> None:
    """Have the page of a segment offer this as well."""
    if _actions.setdefault(action.name, action) is not action:
        raise ValueError(f"There are two actions named {action.name}.")


def registered_actions() -> list[Action]:
    return list(_actions.values())


def registered_tabs() -> list[Tab]:
    return sorted(_tabs.values(), key=lambda tab: tab.order)


def registered_numbers() -> list[RecordNumber]:
    return sorted(_numbers.values(), key=lambda number: number.order)
