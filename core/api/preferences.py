"""`Prefer: handling=strict` (RFC 7240): parameters and fields that nobody reads are refused, not ignored.

Clients of the published services send more than the contract names, so the default is to ignore it. Whoever
develops a client sends the preference and finds misspelt names at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

import msgspec
from rest_framework import serializers

from core.bodies import Body
from core.errors import Problem
from core.representation.fields import Field, Nested
from core.representation.representations import Representation

STRICT = "handling=strict"
PATCH_MEMBERS: dict[str, "Known"] = {"op": None, "path": None, "value": None}

Known: TypeAlias = dict[str, "Known"] | None
"""The fields of an object (of each entry, where a list is meant); None: whatever the client likes."""


def wants_strict(header: str) -> bool:
    """Say whether a Prefer header asks for strict handling; of several values the first counts."""
    for preference in header.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "handling":
            return value.strip().strip('"').lower() == "strict"
    return False


def wants_async(header: str) -> bool:
    """Say whether a Prefer header asks for work in the background, where an operation offers it."""
    return any(
        preference.partition(";")[0].strip().lower() == "respond-async" for preference in header.split(",")
    )


def known_fields(kind: object) -> Known:
    """Return the fields that a declared body or document has; `[kind]` is a list of them."""
    if isinstance(kind, list):
        return known_fields(kind[0])
    if isinstance(kind, Representation):
        return {name: fields_of_field(field) for name, field in kind.fields.items()}
    if isinstance(kind, type) and issubclass(kind, Body):
        return fields_of_type(msgspec.inspect.type_info(kind))
    if isinstance(kind, type) and issubclass(kind, serializers.BaseSerializer):
        return fields_of_serializer(kind())
    if isinstance(kind, serializers.BaseSerializer):
        return fields_of_serializer(kind)
    return None


def fields_of_field(field: Field) -> Known:
    if isinstance(field, Nested):
        return {name: fields_of_field(inner) for name, inner in field.fields.items()}
    return None


def fields_of_type(kind: msgspec.inspect.Type) -> Known:
    match kind:
        case msgspec.inspect.StructType():
            return {field.encode_name: fields_of_type(field.type) for field in kind.fields}
        case msgspec.inspect.ListType():
            return fields_of_type(kind.item_type)
        case msgspec.inspect.UnionType():
            found = [fields_of_type(member) for member in kind.types]
            objects = [each for each in found if each is not None]
            return objects[0] if len(objects) == 1 else None
        case msgspec.inspect.Metadata():
            return fields_of_type(kind.type)
    return None


def fields_of_serializer(serializer: object) -> Known:
    if isinstance(serializer, serializers.ListSerializer | serializers.ListField):
        return fields_of_serializer(serializer.child)
    if isinstance(serializer, serializers.Serializer):
        return {name: fields_of_serializer(field) for name, field in serializer.fields.items()}
    return None


def merged_fields(one: Known, other: Known) -> Known:
    """Return the fields of both; whatever is free in one of them is free."""
    if one is None or other is None:
        return None
    both = {**other, **one}
    return {
        name: merged_fields(one[name], other[name]) if name in one and name in other else inner
        for name, inner in both.items()
    }


def unknown_fields(value: object, known: Known, path: str = "") -> Iterator[Problem]:
    """Yield what is wrong with the names of a JSON value's members."""
    if isinstance(value, list):
        for index, entry in enumerate(value):
            yield from unknown_fields(entry, known, f"{path}[{index}]")
    elif isinstance(value, Mapping) and known is not None:
        for name, entry in value.items():
            inner = f"{path}.{name}" if path else name
            if name in known:
                yield from unknown_fields(entry, known[name], inner)
            else:
                yield unknown_name(inner, name, known, kind="field")


def unknown_fields_of_patch(body: Sequence[object], known: Known) -> Iterator[Problem]:
    """Yield what is wrong with the names in a JSON Patch: in its operations, their paths and values."""
    yield from unknown_fields([without_value(operation) for operation in body], PATCH_MEMBERS)
    for operation in body:
        members = operation if isinstance(operation, Mapping) else {}
        path = members.get("path")
        if not isinstance(path, str):
            continue
        reached, name, problem = known, "", None
        for part in path.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if reached is None or name == "-" or name.isdecimal():
                continue
            if name not in reached:
                problem = unknown_name(path, name, reached, kind="field")
                break
            reached = reached[name]
        if problem:
            yield problem
        else:
            yield from unknown_fields(members.get("value"), reached, path)


def without_value(operation: object) -> object:
    if isinstance(operation, Mapping) and "value" in operation:
        return {**operation, "value": None}
    return operation


def unknown_parameters(query: Iterable[str], known: frozenset[str]) -> Iterator[Problem]:
    for name in query:
        if name not in known:
            yield unknown_name(name, name, known, kind="parameter")


def unknown_name(path: str, name: str, known: Iterable[str], *, kind: str) -> Problem:
    """Return the problem that names the nearest known name, or else all of them."""
    names = sorted(known)
    by_case = {each.lower(): each for each in names}
    nearest = get_close_matches(name.lower(), by_case, n=1)
    if nearest:
        hint = f"did you mean {by_case[nearest[0]]}?"
    else:
        hint = f"known are {', '.join(names)}." if names else "there are none here."
    return Problem(path[:200], f"unknown_{kind}", f"There is no {kind} {path[:200]}; {hint}")
