"""Filters of targets: JSONPath predicates over the payload, as `$[?(@.status == 'ACTIVE')]`.

All tenants' events are sent by the same processes, so a filter is refused unless its time is bounded by its
length and the size of the payload. Several selectors in one pair of brackets multiply the nodes again and
again, as a whole payload for each node of a payload does.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from jsonpath import CompoundJSONPath, JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from jsonpath.filter import BaseExpression, FilterQuery, RootFilterQuery
from jsonpath.segments import JSONPathRecursiveDescentSegment
from jsonpath.selectors import Filter, KeysFilter, SingularQuerySelector

from core.errors import InvalidInput
from core.json_types import JsonObject

LONGEST_FILTER = 1_000
LITERAL = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
NO_DESCENT = "A filter names fields by their whole path; '..' is not supported."
REGEX = re.compile(r"=~|\b(match|search)\s*\(")

_environment = JSONPathEnvironment()


def check_filter(expression: str, *, field: str = "filter") -> None:
    """Raise InvalidInput for an expression that cannot be evaluated, or only at a price without bounds."""
    if len(expression) > LONGEST_FILTER:
        raise InvalidInput(f"A filter has at most {LONGEST_FILTER} characters.", field=field)
    plain = LITERAL.sub("''", expression)
    if REGEX.search(plain):
        raise InvalidInput(
            "A filter has no regular expressions here. Compare with ==, <, in or contains.", field=field
        )
    if ".." in plain:
        raise InvalidInput(NO_DESCENT, field=field)
    try:
        path = compiled(expression)
    except (JSONPathError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InvalidInput(f"This is not a JSONPath filter: {reason}.", field=field) from error
    if isinstance(path, CompoundJSONPath):
        raise InvalidInput("A filter is one path. Join conditions with && and ||.", field=field)
    refuse_costly(path, field=field)


def refuse_costly(path: JSONPath, *, field: str, is_nested: bool = False) -> None:
    """Raise InvalidInput for a path whose nodes may be many times those of the payload."""
    for segment in path.segments:
        if isinstance(segment, JSONPathRecursiveDescentSegment):
            raise InvalidInput(NO_DESCENT, field=field)
        if len(segment.selectors) > 1:
            raise InvalidInput(
                "A filter selects one thing in each pair of brackets. Join conditions with && and ||.",
                field=field,
            )
        for selector in segment.selectors:
            if isinstance(selector, SingularQuerySelector):
                refuse_costly(selector.query, field=field, is_nested=True)
            if not isinstance(selector, Filter | KeysFilter):
                continue
            for query in queries_of(selector.expression):
                if is_nested and isinstance(query, RootFilterQuery):
                    raise InvalidInput("A predicate inside another one begins with @, not $.", field=field)
                refuse_costly(query.path, field=field, is_nested=True)


def queries_of(expression: BaseExpression) -> Iterator[FilterQuery]:
    """Return the paths that a predicate compares."""
    if isinstance(expression, FilterQuery):
        yield expression
        return
    for child in expression.children():
        yield from queries_of(child)


@lru_cache(maxsize=1_000)
def compiled(expression: str) -> JSONPath | CompoundJSONPath:
    return _environment.compile(expression)


def matches(expression: str, payload: JsonObject) -> bool:
    """Say whether the payload meets the filter, which is evaluated over a list that holds it."""
    if not expression:
        return True
    try:
        return next(iter(compiled(expression).finditer([payload])), None) is not None
    except JSONPathError:  # such as a comparison of a text with an object
        return False
