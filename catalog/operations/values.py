"""Rules over the values of one category that hold whichever entry point wrote them."""

from collections.abc import Sequence

from catalog.errors import InvalidCategory
from catalog.models import Category


def check_new_id(category_id: str) -> None:
    """Raise InvalidCategory when no category may be created with the id."""
    if category_id in Category.reserved_ids:
        raise InvalidCategory(f"Category id '{category_id}' is reserved", field="id")


def check_code(code: str | None, *, type: str | None, mixins: Sequence[object] | None) -> None:
    """Raise InvalidCategory for a classification category without a code."""
    if not code and (type == "CLASSIFICATION" or mixins):
        raise InvalidCategory("A category of type CLASSIFICATION needs a code", field="code")


def check_type(type: str | None, *, stored: str) -> None:
    """Raise InvalidCategory when the type differs from the stored one; None keeps that."""
    if type not in (None, stored):
        raise InvalidCategory("The type of a category cannot be changed", field="type")
