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
        order = list(self.defaults)
        self.places = [order.index(name) for name in self.names]

    def values(self, body: Body, **known: Any) -> list[Any]:
        """Return the values of the columns, in their order; `known` are those that the body does not say."""
        return self.rows([body], **known)[0]

    def rows(self, bodies: Iterable[Body], **known: Any) -> list[list[Any]]:
        """Return the values of each body; `known` are the same for all."""
        absent = list({**self.defaults, **known}.values())
        read, places = self.read, self.places
        rows = []
        for body in bodies:
            row = absent.copy()
            for place, value in zip(places, read(body), strict=False):  # equally long; checking takes time
                if value is not None:
                    row[place] = value
            rows.append(row)
        return rows


def default_of(field: models.Field) -> Any:
    """Return the default of a column; None for one that has none, or is an instant that the write says."""
    if not field.has_default() or isinstance(field, models.DateTimeField):
        return None
    return field.get_default()
