"""The values that a body gives the columns of its table, by name."""

from collections.abc import Iterable, Sequence
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
        self.readers = {name: attrgetter(name) for name in self.defaults if hasattr(kind, name)}
        self.parts = {name: attrgetter(part) for name, part in kind.parts.items()}

    def values(self, body: Body, **known: Any) -> list[Any]:
        """Return the values of the columns, in their order; `known` are those that the body does not say."""
        return [value for [value] in self.read([body], **known)]

    def read(self, bodies: Sequence[Body], **known: Any) -> list[list[Any]]:
        """Return each column's values in all bodies; `known` are the same for all."""
        columns = []
        for name, default in {**self.defaults, **known}.items():
            reader, part = self.readers.get(name), self.parts.get(name)
            # Most bodies leave most parts out: to ask each for what is in them takes ten times as long.
            if reader is None or (part is not None and not any(map(part, bodies))):
                columns.append([default] * len(bodies))
                continue
            values = list(map(reader, bodies))
            if None in values and default is not None:
                values = [default if value is None else value for value in values]
            columns.append(values)
        return columns


def default_of(field: models.Field) -> Any:
    """Return the default of a column; None for one that has none, or is an instant that the write says."""
    if not field.has_default() or isinstance(field, models.DateTimeField):
        return None
    return field.get_default()
