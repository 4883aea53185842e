"""The schema of a document follows from the fields of its representation."""

from core.representation.fields import (
    Boolean,
    Computed,
    Integer,
    Json,
    JsonEntries,
    Localized,
    Nested,
    Text,
    Texts,
    Time,
)
from core.representation.representations import Representation
from core.representation.schema import representation_schema

SHELF = Representation(
    name="Shelf",
    table="shelf",
    alias="shelf",
    fields={
        "id": Text("shelf.id"),
        "name": Localized("shelf.name"),
        "isFull": Boolean("shelf.is_full"),
        "labels": Texts("shelf.labels"),
        "mixins": Json("shelf.mixins"),
        "entries": JsonEntries("shelf.entries"),
        "total": Computed("shelf.total"),
        "metadata": Nested({"version": Integer("shelf.version"), "createdAt": Time("shelf.created_at")}),
    },
    documented={"total": {"type": "number"}, "metadata.version": {"description": "Counts writes."}},
)


def test_each_field_has_the_type_of_its_json():
    assert representation_schema(SHELF) == {
        "type": "object",
        "properties": {
            "id": {"type": "string"},
            "name": {"type": "object", "additionalProperties": {"type": "string"}},
            "isFull": {"type": "boolean"},
            "labels": {"type": "array", "items": {"type": "string"}},
            "mixins": {"type": "object", "additionalProperties": True},
            "entries": {"type": "array", "items": {}},
            "total": {"type": "number"},
            "metadata": {
                "type": "object",
                "properties": {
                    "version": {"type": "integer", "description": "Counts writes."},
                    "createdAt": {"type": "string", "format": "date-time"},
                },
            },
        },
        "required": ["id"],
    }
