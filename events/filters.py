"""Filters of targets: JSONPath predicates over the payload, as `$[?(@.status == 'ACTIVE')]`."""

import re
from functools import lru_cache

from jsonpath import CompoundJSONPath, JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError

from core.errors import InvalidInput
from core.json_types import JsonObject

LONGEST_FILTER = 1_000
LITERAL = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
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
        raise InvalidInput("A filter names fields by their whole path; '..' is not supported.", field=field)
    try:
        compiled(expression)
    except (JSONPathError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InvalidInput(f"This is not a JSONPath filter: {reason}.", field=field) from error


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
