"""What apps above the catalogue add to it. They register it in `AppConfig.ready`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from catalog.representations import PRODUCT, PRODUCT_IN_SHOWN_CATEGORIES
from catalog.revisions import OF_PRODUCTS
from core.representation.fields import Field
from core.sql.composition import Sql
from core.tenancy.callers import Caller


@dataclass(frozen=True, slots=True)
class HeldCategories:
    """The categories that are assigned to segments: `keys` makes a SELECT of their keys.

    `state` is all that these depend on, and the revisions of the subjects that were asked for along with it.
    """

    keys: Callable[[], Sql]
    state: Sequence[object]


class SegmentFilter(Protocol):
    """Returns the categories that are assigned to one of the segments that count for the caller."""

    def __call__(
        self, *, caller: Caller, segment_ids: Sequence[str], at: datetime, subjects: Sequence[int]
    ) -> HeldCategories: ...


TouchedGroups = Callable[[str], Sequence[str]]
"""Returns groups for the name of a tenant."""
_touched_groups: dict[str, TouchedGroups] = {}
_segment_filters: list[SegmentFilter] = []
_category_actions: list[Callable[..., object]] = []
_product_actions: list[Callable[..., object]] = []
_category_effects: list[Callable[..., list[object]]] = []


def register_segment_filter(segment_filter: SegmentFilter) -> None:
    """Make the parameter `segmentsIds` of assignments work."""
    _segment_filters[:] = [segment_filter]


def categories_of_segments(
    *, caller: Caller, segment_ids: Sequence[str], at: datetime, subjects: Sequence[int]
) -> HeldCategories:
    """Return the categories of these segments."""
    [segment_filter] = _segment_filters
    return segment_filter(caller=caller, segment_ids=segment_ids, at=at, subjects=subjects)


def register_touched_groups(of_category: TouchedGroups, of_product: TouchedGroups) -> None:
    """Say which groups of answers in shared caches a write of categories ends, and one of products."""
    _touched_groups.update(category=of_category, product=of_product)


@lru_cache(maxsize=1_024)
def touched_groups(kind: str, tenant: str) -> Sequence[str]:
    """Return the groups that a write of a category or a product of the tenant ends."""
    return _touched_groups[kind](tenant)


def register_category_action(action: Callable[..., object]) -> None:
    """Add an action to the list of categories in the admin."""
    if action not in _category_actions:
        _category_actions.append(action)


def category_actions() -> tuple[Callable[..., object], ...]:
    """Return the actions that other apps add to the list of categories in the admin."""
    return tuple(_category_actions)


def register_product_action(action: Callable[..., object]) -> None:
    """Add an action to the list of products in the admin."""
    if action not in _product_actions:
        _product_actions.append(action)


def product_actions() -> tuple[Callable[..., object], ...]:
    """Return the actions that other apps add to the list of products in the admin."""
    return tuple(_product_actions)


def register_category_effects(find: Callable[..., list[Any]]) -> None:
    """Have the admin say what changes of categories do.

    `find` gets the request, the categories, the change (PUBLISH, UNPUBLISH, MOVE or DELETE) and the new
    parent, and returns facts (core/admin/confirmation.py).
    """
    if find not in _category_effects:
        _category_effects.append(find)


def category_effects(*arguments: object) -> list[Any]:
    """Return the facts that other apps know of a change of categories."""
    return [fact for find in _category_effects for fact in find(*arguments)]


def register_product_field(
    name: str, field: Field, description: Mapping[str, object], *, subjects: Collection[int]
) -> None:
    """Add a field to the products that services read, and say what it is in the OpenAPI document.

    It changes only with the revisions of these subjects.
    """
    OF_PRODUCTS.extend(subject for subject in subjects if subject not in OF_PRODUCTS)
    PRODUCT.fields[name] = PRODUCT_IN_SHOWN_CATEGORIES.fields[name] = field
    PRODUCT.documented[name] = dict(description)
