"""What packages above register: things that depend on segments and categories, such as coupons."""

from collections.abc import Callable, Collection, Sequence
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
class CategoryDifference:
    """Which categories are hidden and shown at an instant, as SELECTs of their keys."""

    tenant_id: int
    at: datetime
    hidden: Sql
    shown: Sql


@dataclass(frozen=True, slots=True)
class Dependent:
    """A type of things that depend on segments and categories, and the scope that reads them.

    `effect_of` returns what a difference does to them, in one statement. `only_of` counts those that name
    no segments but these, by keys; `delete_only_of` deletes them, before the segments go. `opened_by` counts
    those that members of a segment, by its key, may use at an instant, and returns ids of some. `called`
    returns what people call those of these ids. Staff need the permission that `permission` names once its
    action is filled in. Their list is the admin's page of this name, and that of their uses `uses_page`; both
    take the parameter `EFFECT` (addresses.py), which says of what effect they list what is counted.
    """

    type: str
    singular: str
    plural: str
    scope: str
    permission: str
    page: str
    uses_page: str
    effect_of: Callable[[Difference | CategoryDifference], DependentEffect]
    only_of: Callable[[int, Sequence[int]], int]
    delete_only_of: Callable[[int, Sequence[int], datetime], int]
    opened_by: Callable[[int, int, datetime], tuple[int, list[str]]]
    called: Callable[[int, Sequence[str]], list[str]]


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
