"""The JSON Schema of a representation: each field says which type its JSON has."""

from collections.abc import Mapping
from functools import singledispatch

from core.json_types import JsonObject
from core.representation import fields
from core.representation.representations import Representation

Schema = JsonObject


def representation_schema(representation: Representation) -> Schema:
    """Return the OpenAPI schema of a document. Only `id` is always there: `fields` may leave out the rest.

    `documented` may describe members that no field makes, such as the children of a tree.
    """
    schema = object_schema(representation.fields, representation.documented, "")
    for name, member in representation.documented.items():
        if "." not in name and name not in schema["properties"]:
            schema["properties"][name] = member
    if "id" in representation.fields:
        schema["required"] = ["id"]
    return schema


def object_schema(members: Mapping[str, fields.Field], documented: Mapping[str, Schema], path: str) -> Schema:
    properties: dict[str, Schema] = {}
    for name, field in members.items():
        inner = f"{path}.{name}" if path else name
        if isinstance(field, fields.Nested):
            properties[name] = object_schema(field.fields, documented, inner)
        elif "oneOf" in documented.get(inner, {}):  # which says the types itself
            properties[name] = {}
        else:
            properties[name] = field_schema(field)
        properties[name] |= documented.get(inner, {})
    return {"type": "object", "properties": properties}


@singledispatch
def field_schema(field: fields.Field) -> Schema:
    """Return the schema of the field's JSON; empty for an expression, which `documented` describes."""
    return {}


@field_schema.register
def _(field: fields.Text) -> Schema:
    return {"type": "string"}


@field_schema.register
def _(field: fields.Number) -> Schema:
    return {"type": "number"}


@field_schema.register
def _(field: fields.Integer) -> Schema:
    return {"type": "integer"}


@field_schema.register
def _(field: fields.Boolean) -> Schema:
    return {"type": "boolean"}


@field_schema.register
def _(field: fields.Time) -> Schema:
    return {"type": "string", "format": "date-time"}


@field_schema.register
def _(field: fields.Texts) -> Schema:
    return {"type": "array", "items": {"type": "string"}}


@field_schema.register
def _(field: fields.Localized) -> Schema:
    return {"type": "object", "additionalProperties": {"type": "string"}}


@field_schema.register
def _(field: fields.Json) -> Schema:
    return {"type": "object", "additionalProperties": True}


@field_schema.register
def _(field: fields.JsonEntries) -> Schema:
    return {"type": "array", "items": {}}
