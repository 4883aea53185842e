"""What numbers of effects count, as addresses name it, so that lists of the admin show it.

A value names what is counted, and then the difference that it is counted of: of segments the instant and
the keys of those that stop and begin to count; of categories the change, the instant, their keys and that
of their new parent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.db.models import QuerySet

from catalog.errors import WouldCreateCycle
from catalog.models import Category
from core.errors import InvalidInput
from core.sql.composition import Sql
from core.timestamps import parse_time
from segments.effects.bodies import MOST_SEGMENTS, CategoryChange, CategoryChangeBody
from segments.effects.category_changes import move_of
from segments.effects.dependents import CategoryDifference, Difference
from segments.models import Segment

EFFECT: Final = "effect_of"


class Counted(StrEnum):
    """What is counted of things that depend on segments."""

    STOPPING = "stopping"
    STARTING = "starting"
    OPENED = "opened"
    USED = "used"


SEGMENTS: Final = "SEGMENTS"
BETWEEN: Final = "~"
MOST_DIGITS: Final = 18
MOST_KEYS: Final = MOST_SEGMENTS
MOST_CATEGORIES: Final = 20
"""How many categories a page looks at together; each takes some statements."""
FIRST_YEAR, LAST_YEAR = 2000, 9000


def of_difference(counted: str, difference: Difference) -> str:
    """Return the value for what is counted of a change of segments."""
    keys = (",".join(map(str, each)) for each in (difference.losing, difference.gaining))
    return BETWEEN.join((counted, SEGMENTS, difference.at.isoformat(), *keys))


def of_categories(
    counted: str, categories: Sequence[Category], change: str, parent: Category | None, at: datetime
) -> str:
    """Return the value for what is counted of a change of categories, which go with all below them."""
    keys = (",".join(str(each.pk) for each in categories), "" if parent is None else str(parent.pk))
    return BETWEEN.join((counted, change, at.isoformat(), *keys))


@dataclass(frozen=True, slots=True)
class Named:
    """What a value names: what is counted, of which difference, and of whose change."""

    counted: str
    difference: Difference | CategoryDifference
    names: Sequence[str]


def read(value: str, segments: QuerySet[Segment], categories: QuerySet[Category]) -> Named | None:
    """Return what the value names; None where that is nothing, or not among these rows."""
    parts = value.split(BETWEEN)
    if len(parts) != 5:
        return None
    counted, change, moment, first, second = parts
    try:
        at = parse_time(moment)
    except InvalidInput:
        return None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:  # effects look at days before and after it
        return None
    if change == SEGMENTS:
        return _of_segments(counted, at, keys_of(first), keys_of(second), segments)
    return _of_categories(counted, at, change, keys_of(first), keys_of(second), categories)


def keys_of(text: str) -> list[int]:
    texts = text.split(",")[:MOST_KEYS]
    return [int(one) for one in texts if one.isascii() and one.isdecimal() and len(one) <= MOST_DIGITS]


def _of_segments(
    counted: str, at: datetime, losing: list[int], gaining: list[int], segments: QuerySet[Segment]
) -> Named | None:
    known = segments.select_related("tenant").in_bulk({*losing, *gaining})
    tenants = {segment.tenant_id for segment in known.values()}
    if len(tenants) != 1 or len(known) != len({*losing, *gaining}):
        return None
    [tenant_id] = tenants
    names = [str(segment) for segment in known.values()]
    return Named(counted, Difference(tenant_id, at, losing, gaining), names)


def _of_categories(
    counted: str,
    at: datetime,
    change: str,
    category_keys: list[int],
    parent_keys: list[int],
    categories: QuerySet[Category],
) -> Named | None:
    known = categories.select_related("tenant").in_bulk({*category_keys, *parent_keys})
    is_whole = len(known) == len({*category_keys, *parent_keys}) and len(parent_keys) <= 1
    tenants = {category.tenant_id for category in known.values()}
    if change not in set(CategoryChange) or not is_whole or len(tenants) != 1:
        return None
    if not 0 < len(category_keys) <= MOST_CATEGORIES:
        return None
    parent = known[parent_keys[0]] if parent_keys and change == CategoryChange.MOVE else None
    changing = [known[key] for key in category_keys]
    try:
        difference = difference_of(changing, change, parent, at)
    except WouldCreateCycle:
        return None
    return Named(counted, difference, [str(category) for category in changing])


def change_of_category(category: Category, change: str, parent: Category | None) -> CategoryChangeBody:
    """Return the change of one category, which goes with all below it, as the admin deletes."""
    return CategoryChangeBody(
        category_id=category.external_id,
        change=change,  # type: ignore[arg-type]
        parent_id=None if parent is None else parent.external_id,
        with_subcategories=change == CategoryChange.DELETE,
    )


def difference_of(
    categories: Sequence[Category], change: str, parent: Category | None, at: datetime
) -> CategoryDifference:
    """Return what a change of categories of one tenant hides and shows together. Raises WouldCreateCycle."""
    differences = [
        move_of(category, change_of_category(category, change, parent), at).difference
        for category in categories
    ]
    return CategoryDifference(
        categories[0].tenant_id,
        at,
        hidden=Sql.joined(" UNION ALL ", [each.hidden for each in differences]),
        shown=Sql.joined(" UNION ALL ", [each.shown for each in differences]),
    )
