from django.core.exceptions import FieldDoesNotExist
from django.db import models


def concrete_field(model: type[models.Model], name: str) -> models.Field:
    """Return the field of the model itself that has this name; what only refers to the model is none."""
    field = model._meta.get_field(name)
    if not isinstance(field, models.Field):
        raise FieldDoesNotExist(f"{model._meta.label} has no field {name} of its own.")
    return field
