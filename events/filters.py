"""Filters of targets: JSONPath predicates over the payload, as `$[?(@.status == 'ACTIVE')]`."""

import re
from functools import lru_cache

from jsonpath import CompoundJSONPath, JSONPath, JSONPathEnvironment
from jsonpath.exceptions import JSONPathError
from jsonpath.filter import BaseExpression, FilterQuery, RelativeFilterQuery
from jsonpath.selectors import Filter, IndexSelector, NameSelector, SliceSelector, WildcardSelector

from core.errors import InvalidInput
from core.json_types import JsonObject

LONGEST_FILTER = 1_000
LITERAL = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
REGEX = re.compile(r"=~|\b(match|search)\s*\(")

# Each goes on from a value to its parts, so that a path looks at no value twice.
STEPS = (NameSelector, IndexSelector, SliceSelector, WildcardSelector, Filter)

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
        path = compiled(expression)
    except (JSONPathError, ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InvalidInput(f"This is not a JSONPath filter: {reason}.", field=field) from error
    if not is_bounded(path):
        raise InvalidInput(
            "A filter is one path. Each of its steps names one field, one place, * or a condition, and"
            " conditions name fields by paths that begin with @.",
            field=field,
        )


def is_bounded(path: JSONPath | CompoundJSONPath) -> bool:
    """Say whether the path looks at each value of a payload a few times at most.

    Several names at a step multiply from step to step, and so do conditions that begin at the root again:
    a thousand characters of them would keep a worker for years.
    """
    if not isinstance(path, JSONPath):
        return False
    for segment in path.segments:
        [*selectors] = segment.selectors
        if len(selectors) != 1 or not isinstance(selectors[0], STEPS):
            return False
        if isinstance(selectors[0], Filter) and not is_bounded_condition(selectors[0].expression):
            return False
    return True


def is_bounded_condition(expression: BaseExpression) -> bool:
    if isinstance(expression, FilterQuery) and not (
        isinstance(expression, RelativeFilterQuery) and is_bounded(expression.path)
    ):
        return False
    return all(map(is_bounded_condition, expression.children()))


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
