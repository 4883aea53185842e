"""Rules over the values of one category or product that hold whichever entry point wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.errors import InvalidCategory
from catalog.models import Category
from core.errors import MissingScope


@dataclass(frozen=True, slots=True)
class Publication:
    """Whether the writer may turn `published` on, and off."""

    may_publish: bool = True
    may_unpublish: bool = True

    def refusal(self, was: bool, becomes: bool, *, publish: str, unpublish: str) -> MissingScope | None:
        """Return the error of a change that the writer may not make, naming the scope that it needs."""
        if becomes and not was and not self.may_publish:
            return MissingScope((publish,))
        if was and not becomes and not self.may_unpublish:
            return MissingScope((unpublish,))
        return None


ANY_PUBLICATION = Publication()


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
