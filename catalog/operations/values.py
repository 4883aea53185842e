"""The values of categories and products: columns, numbers, and rules that hold for every entry point."""

from collections.abc import Sequence
from dataclasses import dataclass

from accounts.identity.scopes import CATEGORY_PUBLISH, CATEGORY_UNPUBLISH
from catalog.bodies import CategoryBody
from catalog.errors import InvalidCategory
from catalog.models import Category
from core.errors import MissingScope
from core.sql.composition import bind
from core.sql.fetching import execute

OWN_COLUMNS = tuple(
    field.column for field in Category._meta.concrete_fields if hasattr(CategoryBody, field.column)
)
"""The columns of a category that are written from the member of a body that has their name."""


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

    def check(self, category: Category, body: CategoryBody) -> None:
        """Raise MissingScope when the body publishes or unpublishes the category and the writer may not."""
        refusal = self.refusal(
            category.is_published, body.is_published, publish=CATEGORY_PUBLISH, unpublish=CATEGORY_UNPUBLISH
        )
        if refusal:
            raise refusal


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


def write_numbers(tenant_id: int, numbers: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Make these the external numbers of each category; unchanged numbers are not written."""
    flat = [(key, value, rank) for key, values in numbers for rank, value in enumerate(values)]
    keys, values = [row[0] for row in flat], [row[1] for row in flat]
    execute(
        bind(
            "DELETE FROM catalog_categorynumber AS number"
            " WHERE tenant_id = {tenant} AND category_id = ANY({categories})"
            " AND NOT EXISTS (SELECT 1 FROM unnest({keys:bigint[]}, {values:text[]})"
            " AS given (category_id, value)"
            " WHERE given.category_id = number.category_id AND given.value = number.value)",
            tenant=tenant_id,
            categories=[key for key, _ in numbers],
            keys=keys,
            values=values,
        )
    )
    if flat:
        execute(
            bind(
                "INSERT INTO catalog_categorynumber (tenant_id, category_id, value, rank)"
                " SELECT {tenant}, category_id, value, rank"
                " FROM unnest({keys:bigint[]}, {values:text[]}, {ranks:integer[]})"
                " AS given (category_id, value, rank)"
                " ON CONFLICT (tenant_id, value) DO UPDATE SET rank = excluded.rank",
                tenant=tenant_id,
                keys=keys,
                values=values,
                ranks=[row[2] for row in flat],
            )
        )
