"""Categories as rows of an import."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalog.models import Category, CategoryNumber
from catalog.operations.category_imports import CategoryRow

COMPARED = (
    "pk",
    "external_id",
    "parent__parent_id",
    "parent__external_id",
    "position",
    "code",
    "name",
    "description",
    "slug",
    "is_published",
    "valid_from",
    "valid_to",
    "own_classification_mixins",
    "mixins",
    "mixin_schemas",
)


def changed_categories(*, tenant_id: int, rows: Sequence[CategoryRow]) -> list[CategoryRow]:
    """Return the rows that are new or differ from what is stored, in two statements.

    A row without a position, or that expects a version, keeps both questions for the upsert: the first
    differs in position never, the second always.
    """
    named = Category.objects.filter(tenant=tenant_id, external_id__in=[row.external_id for row in rows])
    stored = {known["external_id"]: known for known in named.order_by().values(*COMPARED)}
    numbers: dict[int, list[str]] = {}
    for category_id, value in (
        CategoryNumber.objects.filter(
            tenant=tenant_id, category__in=[known["pk"] for known in stored.values()]
        )
        .order_by("rank", "id")
        .values_list("category_id", "value")
    ):
        numbers.setdefault(category_id, []).append(value)
    return [
        row
        for row in rows
        if row.expected_version is not None
        or row.external_id not in stored
        or differs(row, stored[row.external_id], numbers.get(stored[row.external_id]["pk"], []))
    ]


def differs(row: CategoryRow, stored: Mapping[str, Any], numbers: Sequence[str]) -> bool:
    """Say whether writing the row would change the stored category."""
    is_root = stored["parent__parent_id"] is None  # what hangs below the tenant's hidden root
    parent_id = None if is_root else stored["parent__external_id"]
    return (
        parent_id != row.parent_id
        or (row.position is not None and stored["position"] != row.position)
        or stored["code"] != row.code
        or stored["name"] != dict(row.name)
        or stored["description"] != dict(row.description)
        or stored["slug"] != dict(row.slug)
        or stored["is_published"] != row.is_published
        or stored["valid_from"] != row.valid_from
        or stored["valid_to"] != row.valid_to
        or stored["own_classification_mixins"] != list(row.own_classification_mixins)
        or stored["mixins"] != dict(row.mixins)
        or stored["mixin_schemas"] != dict(row.mixin_schemas)
        or list(numbers) != list(row.numbers)
    )
