"""Which lists of the admin show what numbers of effects and of rules count: packages register theirs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from core.sql.composition import Sql
from segments.effects import (
    Affected,
    CategoryDifference,
    Difference,
    affected_customers,
    disappearing_categories,
    products_of,
)
from segments.overview import products_inside


@dataclass(frozen=True, slots=True)
class EffectList:
    """What is counted of effects in the list of a model, each as a sentence about `{names}`.

    `selected` makes a SELECT of the keys of what is counted of a difference; None where there is none such.
    """

    counted: Mapping[str, str | Promise]
    selected: Callable[[str, Difference | CategoryDifference], Sql | None]


_lists: dict[str, EffectList] = {}


def register_effect_list(label: str, effect_list: EffectList) -> None:
    """Have the list of the model's rows show what is counted of effects."""
    if _lists.setdefault(label, effect_list) is not effect_list:
        raise ValueError(f"There are two lists of effects for {label}.")


def effect_list(label: str) -> EffectList | None:
    return _lists.get(label)


class Shown(StrEnum):
    """What is counted of categories and of the products in them."""

    DISAPPEARING = "disappearing"
    HIDDEN = "hidden"
    SHOWN = "shown"
    PRODUCTS = "products"
    INSIDE = "inside"


def customers(counted: str, difference: Difference | CategoryDifference) -> Sql | None:
    return affected_customers(difference, Affected(counted)) if isinstance(difference, Difference) else None


def categories(counted: str, difference: Difference | CategoryDifference) -> Sql | None:
    if isinstance(difference, Difference):
        return disappearing_categories(difference) if counted == Shown.DISAPPEARING else None
    return {Shown.HIDDEN: difference.hidden, Shown.SHOWN: difference.shown}.get(Shown(counted))


def products(counted: str, difference: Difference | CategoryDifference) -> Sql | None:
    if not isinstance(difference, Difference):
        return products_of(difference) if counted == Shown.PRODUCTS else None
    if counted != Shown.INSIDE:
        return None
    return products_inside(difference.tenant_id, difference.gaining, at=difference.at)


register_effect_list(
    "accounts.Customer",
    EffectList(
        {
            Affected.LOSING: _("lose {names}"),
            Affected.KEEPING_ANOTHER: _("lose {names}, keep another segment"),
            Affected.LOSING_ALL: _("lose {names}, see nothing special any more"),
            Affected.LOSING_CATEGORIES: _("lose categories with {names}"),
            Affected.GAINING: _("get {names}"),
        },
        customers,
    ),
)
register_effect_list(
    "catalog.Category",
    EffectList(
        {
            Shown.DISAPPEARING: _("disappear with {names}"),
            Shown.HIDDEN: _("are hidden with {names}"),
            Shown.SHOWN: _("are shown with {names}"),
        },
        categories,
    ),
)
register_effect_list(
    "catalog.Product",
    EffectList(
        {
            Shown.PRODUCTS: _("in what a change of {names} hides or shows"),
            Shown.INSIDE: _("in categories of {names}"),
        },
        products,
    ),
)
