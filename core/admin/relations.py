"""Relations between models, as admin pages follow them."""

from collections.abc import Iterator

from django.db.models import ForeignKey, ForeignObjectRel, ManyToOneRel, Model
from django.db.models.fields.related import RelatedField
from django.db.models.options import Options


def foreign_key(model: type[Model], name: str) -> ForeignKey:
    """Return the foreign key of a model that has this name."""
    found = model._meta.get_field(name)
    assert isinstance(found, ForeignKey)
    return found


def related_model(relation: RelatedField | ForeignObjectRel) -> type[Model]:
    """Return the model at the other end."""
    found = relation.related_model
    assert isinstance(found, type)
    return found


def references_to(options: Options) -> Iterator[ManyToOneRel]:
    """Yield the foreign keys of other models that refer to a model's rows."""
    for relation in options.get_fields(include_hidden=True):
        if isinstance(relation, ManyToOneRel) and relation.one_to_many:
            yield relation
