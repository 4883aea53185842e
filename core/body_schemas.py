"""The OpenAPI schemas of what clients send, which `core.bodies` declares."""

import json
from collections.abc import Iterator

import msgspec

from core.bodies import PASTED, Body
from core.json_types import JsonObject
from core.representation.languages import CustomType


def schema_components(*kinds: type[Body]) -> dict[str, JsonObject]:
    """Return the OpenAPI 3.0 schemas of the bodies and of what they hold, by the name of their class."""
    _, components = msgspec.json.schema_components(
        kinds, schema_hook=_custom_schema, ref_template="#/components/schemas/{name}"
    )
    schemas = {name: _in_openapi(schema) for name, schema in components.items()}
    for body in _subclasses(Body):
        for name, member in schemas.get(body.__name__, {}).get("properties", {}).items():
            if "description" not in member and (known := body.documented.get(name)):
                schemas[body.__name__]["properties"][name] = _described_as(member, known["description"])
    return schemas


def _subclasses(kind: type[Body]) -> Iterator[type[Body]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


def _described_as(schema: JsonObject, description: str) -> JsonObject:
    """Return the schema with a description; nothing counts beside a reference."""
    return {**({"allOf": [schema]} if "$ref" in schema else schema), "description": description}


def _custom_schema(kind: type[CustomType]) -> JsonObject:
    return kind.schema()


def _in_openapi(schema: JsonObject) -> JsonObject:
    """Return a JSON Schema as OpenAPI 3.0 has it: `nullable` for a union with null, no titles."""
    read: JsonObject = {
        name: _part_in_openapi(value) for name, value in schema.items() if name not in ("title", "properties")
    }
    if "properties" in schema:  # whose names are no keywords: a body may have a member `title` or `default`
        read["properties"] = {name: _in_openapi(member) for name, member in schema["properties"].items()}
    if read.get("pattern") in PASTED:  # what was pasted is trimmed, not refused
        del read["pattern"]
    if "default" in read:  # generators of typed clients would demand a member that has one
        default = read.pop("default")
        if default not in (None, "", [], {}):
            read["description"] = f"{read.get('description', '')} Default: {json.dumps(default)}.".lstrip()
    if not read.get("required", True):
        del read["required"]
    if "$ref" in read and len(read) > 1:  # nothing counts beside a reference
        return {"allOf": [{"$ref": read.pop("$ref")}], **read}
    if {"type": "null"} in (choices := read.get("anyOf", [])):
        [member] = [choice for choice in choices if choice != {"type": "null"}]
        del read["anyOf"]
        return {**read, **({"allOf": [member]} if "$ref" in member else member), "nullable": True}
    return read


def _part_in_openapi(part: object) -> object:
    """Return what a keyword of a JSON Schema holds, in which further schemas may be."""
    if isinstance(part, list):
        return [_part_in_openapi(entry) for entry in part]
    return _in_openapi(part) if isinstance(part, dict) else part
