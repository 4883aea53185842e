"""The values that a body gives the columns of its table, by name."""

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from django.db import models

from core.bodies import Body


class BodyColumns:
    """Reads rows of a table from bodies of a kind: each column is the body's attribute of the same name.

    A column that the body does not have, or that it leaves out, gets the model's default, so a new field
    needs no code here.
    """

    def __init__(self, model: type[models.Model], kind: type[Body], columns: Iterable[str]) -> None:
        fields = {field.column: field for field in model._meta.concrete_fields}
        self.defaults: dict[str, Any] = {name: default_of(fields[name]) for name in columns}
        self.names = [name for name in self.defaults if hasattr(kind, name)]
        self.read = attrgetter(*self.names)

    def values(self, body: Body, **known: Any) -> list[Any]:
        """Return the values of the columns, in their order; `known` are those that the body does not say."""
        row = {**self.defaults, **known}
        for name, value in zip(self.names, self.read(body), strict=True):
            if value is not None:
                row[name] = value
        return list(row.values())


def default_of(field: models.Field) -> Any:
    """Return the default of a column; None for one that has none, or is an instant that the write says."""
    if not field.has_default() or isinstance(field, models.DateTimeField):
        return None
    return field.get_default()
