"""Partial changes of a document: JSON Patch (RFC 6902: add, remove, replace) and JSON Merge Patch (RFC 7396).

Documents, paths and values are what stands on the wire. A path is a JSON pointer (RFC 6901): `/name/en`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from core.errors import InvalidInput

MAX_OPERATIONS = 1_000
MAX_DEPTH = 20
MAX_PATH_LENGTH = 1_000
# Deep values at the end of deep paths build at most this; deeper documents are not ours to copy recursively.
MAX_DOCUMENT_DEPTH = 2 * MAX_DEPTH

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_END = "-"
FREE = "mixins"
_BAD_ESCAPE = re.compile(r"~(?![01])")
_ABSENT = object()


class FaultyPatch(InvalidInput):
    """A patch that cannot be applied; `field` is the path at which it fails, or empty for the whole."""

    code = "faulty_patch"


def apply_patch(document: dict[str, Any], body: object, *, protected: Collection[str]) -> dict[str, Any]:
    """Return the document with the patch applied; neither the document nor the body is changed.

    A list is a JSON Patch, an object a JSON Merge Patch. `protected` holds the paths of what clients cannot
    change. An operation of a JSON Patch may not name them; a merge patch may, as clients send back whole
    documents, but must leave them as they are. Below `/mixins`, whose shape is the clients' own, replace acts
    as add, and both make the objects that are missing on the way: the published example replaces an attribute
    of a segment that has none. Raises FaultyPatch, and then nothing is applied.
    """
    if isinstance(body, Mapping):
        patched = _merged(_copied(document, MAX_DOCUMENT_DEPTH), _copied(body, MAX_DEPTH))
    elif isinstance(body, list):
        patched = _operated(_copied(document, MAX_DOCUMENT_DEPTH), body, protected=protected)
    else:
        raise FaultyPatch("A patch is a list of operations or an object to merge.")
    for path in protected:
        parts = _parse_pointer(path)
        if _value_at(patched, parts) != _value_at(document, parts):
            raise FaultyPatch(f"{path} cannot be changed.", field=path)
    return patched


def _operated(
    document: dict[str, Any], operations: Sequence[object], *, protected: Collection[str]
) -> dict[str, Any]:
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
        _operate(document, operation, path)
    return document


def _operate(document: dict[str, Any], operation: Mapping[str, Any], path: str) -> None:
    verb = operation.get("op")
    if verb not in ("add", "remove", "replace"):
        raise FaultyPatch(f"{path}: the operation must be add, remove or replace.", field=path)
    *parents, last = _parse_pointer(path)
    is_free = verb != "remove" and parents[:1] == [FREE]
    if is_free:
        _make_objects(document, parents)
    container = _value_at(document, parents)
    if isinstance(container, dict):
        key: Any = last
        is_present = key in container
    elif isinstance(container, list):
        key = _position(last, container, path=path)
        is_present = key < len(container)
    else:
        raise FaultyPatch(f"{path}: there is nothing that holds this.", field=path)
    if verb != "add" and not is_present and not (is_free and isinstance(container, dict)):
        raise FaultyPatch(f"{path} does not exist, so {verb} is not possible.", field=path)
    if verb == "remove":
        del container[key]
        return
    if "value" not in operation:
        raise FaultyPatch(f"{path}: {verb} needs a value.", field=path)
    value = _copied(operation["value"], MAX_DEPTH, path=path)
    if verb == "add" and isinstance(container, list):
        container.insert(key, value)
    else:
        container[key] = value


def _make_objects(document: dict[str, Any], parts: Sequence[str]) -> None:
    """Make the objects that are missing on the way to a path; stop where something else stands."""
    value: Any = document
    for part in parts:
        if not isinstance(value, dict):
            return
        value = value.setdefault(part, {})


def _position(part: str, container: list[Any], *, path: str) -> int:
    """Return the index in the list that the last part of a path names; one past the end is for `add`."""
    if part == _END:
        return len(container)
    if not _INDEX.fullmatch(part) or int(part) > len(container):
        raise FaultyPatch(f"{path} does not name a place in the list.", field=path)
    return int(part)


def _parse_pointer(pointer: str) -> list[str]:
    if not pointer.startswith("/"):
        raise FaultyPatch("A path begins with / and names a part of the document.", field=pointer)
    if _BAD_ESCAPE.search(pointer):
        raise FaultyPatch(f"{pointer}: in a path ~ is written ~0 and / is written ~1.", field=pointer)
    parts = pointer[1:].split("/")
    if len(parts) > MAX_DEPTH:
        raise FaultyPatch(f"A path has at most {MAX_DEPTH} parts.", field=pointer)
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _value_at(document: object, parts: Sequence[str]) -> Any:
    """Return what stands at the path, or _ABSENT."""
    value = document
    for part in parts:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and int(part) < len(value):
            value = value[int(part)]
        else:
            return _ABSENT
    return value


def _merged(target: Any, patch: Any) -> Any:
    """Merge in place, as RFC 7396 defines it, and return the result; both are copies of our own."""
    if not isinstance(patch, dict):
        return patch
    if not isinstance(target, dict):
        target = {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = _merged(target.get(key), value)
    return target


def _copied(value: Any, depth: int, *, path: str = "") -> Any:
    """Copy objects and lists; raise FaultyPatch when they nest deeper than `depth` levels."""
    if not isinstance(value, Mapping | list):
        return value
    if depth == 0:
        raise FaultyPatch(f"{path or 'The patch or what it changes'} is nested too deeply.", field=path)
    if isinstance(value, list):
        return [_copied(item, depth - 1, path=path) for item in value]
    return {key: _copied(item, depth - 1, path=path) for key, item in value.items()}
