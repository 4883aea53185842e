"""Categories as rows of an import."""

from collections.abc import Mapping, Sequence

from catalog.bodies import CategoryBody
from catalog.models import Category, CategoryNumber
from catalog.operations.category_imports import OWN_COLUMNS

COMPARED = ("pk", "parent__parent_id", "parent__external_id", *OWN_COLUMNS)


def changed_categories(*, tenant_id: int, rows: Sequence[CategoryBody]) -> list[CategoryBody]:
    """Return the rows that are new or differ from what is stored, in two statements.

    A row without a position never differs in position; a row that expects a version always differs, so that
    the upsert checks it.
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


def differs(row: CategoryBody, stored: Mapping[str, object], numbers: Sequence[str]) -> bool:
    """Say whether writing the row would change the stored category."""
    is_root = stored["parent__parent_id"] is None  # the parent is the tenant's hidden root
    parent_id = None if is_root else stored["parent__external_id"]
    if parent_id != row.parent or list(numbers) != row.numbers:
        return True
    written = {name: getattr(row, name) for name in OWN_COLUMNS}
    written["own_classification_mixins"] = written["own_classification_mixins"] or []
    kept = [name for name in ("type", "position") if written[name] is None]
    return any(stored[name] != value for name, value in written.items() if name not in kept)
