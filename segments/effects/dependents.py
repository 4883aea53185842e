"""What packages above register: things that depend on segments and categories, such as coupons."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.sql.composition import Sql, param, sql
from segments.effects.bodies import DependentEffect
from segments.visibility import effective


@dataclass(frozen=True, slots=True)
class Difference:
    """Which segments stop and begin to count at an instant, by their keys.

    `effective_before` and `effective_after` are conditions on `segment`: that it counts at the instant if
    nothing is changed, and after the change.
    """

    tenant_id: int
    at: datetime
    losing: Sequence[int]
    gaining: Sequence[int]

    @property
    def effective_before(self) -> Sql:
        return effective(self.at)

    @property
    def effective_after(self) -> Sql:
        return sql(
            "(segment.id = ANY({gaining}) OR segment.id <> ALL({losing}) AND {effective})",
            gaining=param(list(self.gaining), "bigint[]"),
            losing=param(list(self.losing), "bigint[]"),
            effective=effective(self.at),
        )


@dataclass(frozen=True, slots=True)
class Dependent:
    """A type of things that depend on segments and categories, and the scope that reads them.

    `of_segments` returns what a difference does to them, in one statement; `of_categories` what it does
    when categories (a SELECT of keys) are hidden and when others are shown. `only_of` counts those that name
    no segments but these, by keys; `delete_only_of` deletes them, before the segments go. `opened_by` counts
    those that members of a segment, by its key, may use at an instant, and returns ids of some. `called`
    returns what people call those of these ids. Staff need the
    permission that `permission` names once its action is filled in; their list is the admin's page of this
    name, which parameters limit to those of segments and to those of categories. `by_list` returns which of
    the admin's pages lists which ids, each page with the parameter that limits it to some, and its values.
    """

    type: str
    singular: str
    plural: str
    scope: str
    permission: str
    page: str
    page_parameter: str
    category_parameter: str
    of_segments: Callable[[Difference], DependentEffect]
    of_categories: Callable[[int, Sql, Sql, datetime], DependentEffect]
    only_of: Callable[[int, Sequence[int]], int]
    delete_only_of: Callable[[int, Sequence[int], datetime], int]
    opened_by: Callable[[int, int, datetime], tuple[int, list[str]]]
    called: Callable[[int, Sequence[str]], list[str]]
    by_list: Callable[[Sequence[str]], Mapping[tuple[str, str], list[str]]]


_dependents: dict[str, Dependent] = {}


def register_dependent(dependent: Dependent) -> None:
    """Have effects say what happens to things of this type."""
    if _dependents.setdefault(dependent.type, dependent) is not dependent:
        raise ValueError(f"There are two dependents named {dependent.type}.")


def readable_dependents(scopes: Collection[str] | None) -> list[Dependent]:
    """Return the dependents that a caller with these scopes may read; None means all scopes."""
    return [each for each in _dependents.values() if scopes is None or each.scope in scopes]


def registered_dependent(type: str) -> Dependent:
    return _dependents[type]
