"""Partial changes of a document: JSON Patch (RFC 6902: add, remove, replace) and JSON Merge Patch (RFC 7396).

Documents, paths and values are as clients see them. `jsonpatch` applies the operations; what is protected,
the bounds and the leniency below `/mixins` are checked here. A path is a JSON pointer (RFC 6901): `/name/en`.
"""

import copy
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from jsonpatch import JsonPatch, JsonPatchException
from jsonpointer import JsonPointer, JsonPointerException

from core.bodies import check_document_size
from core.errors import InvalidInput
from core.json_types import JsonMapping, JsonObject
from core.tenancy.documents import Document
from core.timestamps import format_time

MAX_OPERATIONS = 1_000
MAX_DEPTH = 20
MAX_PATH_LENGTH = 1_000
# Deep values at the end of deep paths build at most this; deeper documents are not copied recursively.
MAX_DOCUMENT_DEPTH = 2 * MAX_DEPTH
VERBS = ("add", "remove", "replace")
TOO_DEEP = "The patch or what it changes is nested too deeply."
FREE = "mixins"
SCHEMAS = ["metadata", "mixins"]
KEPT_TIMES: Final = ("/metadata/createdAt", "/metadata/modifiedAt")
"""The paths of what `metadata_of` holds and no client can change."""

_ABSENT = object()


class FaultyPatch(InvalidInput):
    """A patch that cannot be applied; `field` is the path at which it fails, or empty for the whole."""

    code = "faulty_patch"


def metadata_of(row: Document) -> JsonObject:
    """Return the metadata of a row as patches change it. Its instants are exact, which responses are not."""
    metadata = {"createdAt": row.created_at, "modifiedAt": row.modified_at, "version": row.version}
    return metadata if row.mixin_schemas is None else {**metadata, "mixins": row.mixin_schemas}


def apply_patch(document: JsonObject, body: object, *, protected: Collection[str]) -> JsonObject:
    """Return the document with the patch applied; neither the document nor the body is changed.

    A list is a JSON Patch, an object a JSON Merge Patch. `protected` holds the paths of what clients cannot
    change. An operation of a JSON Patch may not name them; a merge patch may, as clients send back whole
    documents, but must leave them as they are (an instant as clients read it). Below `/mixins`, whose shape
    is the clients' own, replace acts as add, and both make the objects that are missing on the way: the
    published example replaces an attribute of a segment that has none. To add the first of the schemas makes
    `/metadata/mixins` as well. Raises FaultyPatch, and then nothing is applied.
    """
    if not isinstance(body, Mapping | list):
        raise FaultyPatch("A patch is a list of operations or an object to merge.")
    if is_deeper_than(document, MAX_DOCUMENT_DEPTH):
        raise FaultyPatch(TOO_DEEP)
    if isinstance(body, Mapping):
        if is_deeper_than(body, MAX_DEPTH):
            raise FaultyPatch(TOO_DEEP)
        patched = merged(document, body)
    else:
        patched = copy.deepcopy(document)
        apply_operations(patched, body, protected=protected)
    check_document_size(patched, stored=document)
    for path in protected:
        pointer = JsonPointer(path)
        kept, given = pointer.resolve(document, _ABSENT), pointer.resolve(patched, _ABSENT)
        if given != kept and not (isinstance(kept, datetime) and given == format_time(kept)):
            raise FaultyPatch(f"{path} cannot be changed.", field=path)
    return patched


def apply_operations(
    document: JsonObject, operations: Sequence[object], *, protected: Collection[str]
) -> None:
    """Apply the operations of a JSON Patch to the document, which is changed."""
    if len(operations) > MAX_OPERATIONS:
        raise FaultyPatch(f"A patch has at most {MAX_OPERATIONS} operations.")
    for number, operation in enumerate(operations, start=1):
        if not isinstance(operation, Mapping):
            raise FaultyPatch(f"Operation {number} of the patch is not an object.")
        path = operation.get("path")
        if not isinstance(path, str) or len(path) > MAX_PATH_LENGTH:
            raise FaultyPatch(
                f"Operation {number} of the patch needs a path of at most {MAX_PATH_LENGTH} characters."
            )
        if any(path == kept or path.startswith(f"{kept}/") for kept in protected):
            raise FaultyPatch(f"{path} cannot be changed.", field=path)
        apply_operation(document, operation, path)


def apply_operation(document: JsonObject, operation: JsonMapping, path: str) -> None:
    verb = operation.get("op")
    if verb not in VERBS:
        raise FaultyPatch(f"{path}: the operation must be add, remove or replace.", field=path)
    *parents, last = parse_path(path)
    plain: JsonObject = {"op": verb, "path": path}
    if verb != "remove":
        if "value" not in operation:
            raise FaultyPatch(f"{path}: {verb} needs a value.", field=path)
        plain["value"] = operation["value"]
        if is_deeper_than(plain["value"], MAX_DEPTH):
            raise FaultyPatch(f"{path} is nested too deeply.", field=path)
        if parents[:1] == [FREE] and makes_objects(document, parents):
            plain["op"] = "add"
        elif parents == SCHEMAS and verb == "add":
            makes_objects(document, parents)
    try:
        JsonPatch([plain]).apply(document, in_place=True)
    except (JsonPatchException, JsonPointerException) as fault:
        raise explained(document, parents, last, verb=verb, path=path) from fault


def parse_path(path: str) -> list[str]:
    if not path.startswith("/"):
        raise FaultyPatch("A path begins with / and names a part of the document.", field=path)
    try:
        parts: list[str] = JsonPointer(path).parts
    except JsonPointerException as fault:
        raise FaultyPatch(f"{path}: in a path ~ is written ~0 and / is written ~1.", field=path) from fault
    if len(parts) > MAX_DEPTH:
        raise FaultyPatch(f"A path has at most {MAX_DEPTH} parts.", field=path)
    return parts


def makes_objects(document: JsonObject, parts: Sequence[str]) -> bool:
    """Make the objects that are missing on the way to a path; say whether the path ends in an object."""
    value = document
    for part in parts:
        if isinstance(value, dict):
            value = value.setdefault(part, {})
        else:
            value = JsonPointer.from_parts([part]).resolve(value, None)
    return isinstance(value, dict)


def explained(
    document: JsonObject, parents: Sequence[str], last: str, *, verb: str, path: str
) -> FaultyPatch:
    """Return the error that says why the operation cannot be applied to the document."""
    container = JsonPointer.from_parts(parents).resolve(document, _ABSENT)
    if not isinstance(container, dict | list):
        return FaultyPatch(f"{path}: there is nothing that holds this.", field=path)
    if isinstance(container, list) and (verb == "add" or not (last == "-" or last.isdecimal())):
        return FaultyPatch(f"{path} does not name a place in the list.", field=path)
    return FaultyPatch(f"{path} does not exist, so {verb} is not possible.", field=path)


def is_deeper_than(value: object, levels: int) -> bool:
    """Say whether objects and lists are nested deeper than so many levels."""
    nested = [value]  # all values of one level
    for _ in range(levels):
        inner: list[object] = []
        for entry in nested:
            if isinstance(entry, dict):
                inner += entry.values()
            elif isinstance(entry, list):
                inner += entry
        if not inner:
            return False
        nested = inner
    return any(isinstance(entry, dict | list) for entry in nested)


def merged(target: object, patch: JsonMapping) -> JsonObject:
    """Return what the patch makes of the target, as RFC 7396 defines it; parts of both are parts of it."""
    changed: JsonObject = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            changed.pop(key, None)
        elif isinstance(value, Mapping):
            changed[key] = merged(changed.get(key), value)
        else:
            changed[key] = value
    return changed
