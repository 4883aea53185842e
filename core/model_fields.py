"""Fields of models, and relations between them, as code that is not made for one model finds them."""

from collections.abc import Iterator

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models.fields.related import RelatedField
from django.db.models.options import Options


def concrete_field(model: type[models.Model], name: str) -> models.Field:
    """Return the field of the model itself that has this name; what only refers to the model is none."""
    field = model._meta.get_field(name)
    if not isinstance(field, models.Field):
        raise FieldDoesNotExist(f"{model._meta.label} has no field {name} of its own.")
    return field


def foreign_key(model: type[models.Model], name: str) -> models.ForeignKey:
    """Return the foreign key of a model that has this name."""
    found = model._meta.get_field(name)
    assert isinstance(found, models.ForeignKey)
    return found


def related_model(relation: RelatedField | models.ForeignObjectRel) -> type[models.Model]:
    """Return the model at the other end."""
    found = relation.related_model
    assert isinstance(found, type)
    return found


def references_to(options: Options) -> Iterator[models.ManyToOneRel]:
    """Yield the foreign keys of other models that refer to a model's rows."""
    for relation in options.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel) and relation.one_to_many:
            yield relation
