"""Pages of what findings, calendars and explanations name by ids: segments, and what others register."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import models
from django.urls import reverse

from catalog.models import Category, Product
from segments.models import Segment


@dataclass(frozen=True, slots=True)
class NamedObject:
    """A type of things that the API knows by an id: the model's field `id_field`, behind the `path`."""

    kind: str
    model: type[models.Model]
    id_field: str = "external_id"
    path: str = ""


_objects: dict[tuple[str, str], NamedObject] = {}


def register_object(named: NamedObject) -> None:
    """Have pages link to things of this type."""
    if _objects.setdefault((named.kind, named.path), named) is not named:
        raise ValueError(f"There are two types of objects named {named.kind} {named.path}.")


register_object(NamedObject("segment", Segment))
register_object(NamedObject("category", Category))
register_object(NamedObject("product", Product))


def addresses(tenant_id: int, kind: str, ids: Iterable[str]) -> dict[str, str]:
    """Return the addresses of the pages of these things by their ids, in one statement for each model."""
    by_path: dict[str, list[str]] = {}
    for one in ids:
        paths = [path for name, path in _objects if name == kind and path and one.startswith(path)]
        path = paths[0] if paths else ""
        by_path.setdefault(path, []).append(one.removeprefix(path))
    found: dict[str, str] = {}
    for path, wanted in by_path.items():
        if (named := _objects.get((kind, path))) is None:
            continue
        rows = named.model._default_manager.filter(tenant=tenant_id, **{f"{named.id_field}__in": wanted})
        names = named.model._meta
        page = f"admin:{names.app_label}_{names.model_name}_change"
        for external_id, key in rows.values_list(named.id_field, "pk"):
            found[path + external_id] = reverse(page, args=[key])
    return found


def object_by_key(tenant_id: int, kind: str, key: int) -> tuple[str, models.Model] | None:
    """Return the id and the row of a thing that pages know by its key; None when there is none."""
    named = _objects.get((kind, ""))
    if named is None:
        return None
    row = named.model._default_manager.filter(tenant=tenant_id, pk=key).select_related("tenant").first()
    return None if row is None else (getattr(row, named.id_field), row)
