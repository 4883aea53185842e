"""Rules over the values of one category that hold whichever entry point wrote them."""

from collections.abc import Sequence

from catalog.errors import InvalidCategory

RESERVED_IDS = frozenset({".", "..", "root", "null", "search", "categoryTree"})
"""Ids that addresses and `parentId` use for something else, or that no address reaches."""


def check_new_id(category_id: str) -> None:
    """Raise InvalidCategory when no category may be created with the id."""
    if category_id in RESERVED_IDS:
        raise InvalidCategory(f"Category id '{category_id}' is reserved", field="id")


def check_code(code: str | None, *, type: str | None, mixins: Sequence[object] | None) -> None:
    """Raise InvalidCategory for a classification category without a code."""
    if not code and (type == "CLASSIFICATION" or mixins):
        raise InvalidCategory("A category of type CLASSIFICATION needs a code", field="code")


def check_type(type: str | None, *, stored: str) -> None:
    """Raise InvalidCategory when the type differs from the stored one; None keeps that."""
    if type not in (None, stored):
        raise InvalidCategory("The type of a category cannot be changed", field="type")
