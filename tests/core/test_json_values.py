"""Names that an object of JSON has twice."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.json_values import repeated_name

NAMES = some.text(alphabet='ab:"', max_size=2)
TEXTS = some.text(alphabet='a:"\\{},é', max_size=4)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers(0, 9) | TEXTS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(NAMES, inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"a": 1, "a": 2}', "a"),
        ('{"a": 1, "\\u0061": 1}', "a"),
        ('{"x": [{"b": {"c": 1, "d": 2, "c" : 3}}]}', "c"),
        ('{"": 1, "": {}}', ""),
        ('{"at": "12:00", "b": {"b": "x:y"}, "at": "13:00"}', "at"),
        ('[{"a": 1}, {"a": 2}]', None),
        ('{"a": {"a": {"a": 1}}}', None),
        ('{"a": "\\":", "b": "\\\\"}', None),
        ('"a"', None),
    ],
)
def test_the_name_that_comes_twice_in_an_object_is_found(text: str, name: str | None) -> None:
    source = text.encode()
    assert repeated_name(orjson.loads(source), source) == name


@given(VALUES, some.sampled_from([None, 1]), some.booleans())
def test_what_a_program_has_written_repeats_no_name(
    value: object, indent: int | None, is_ascii: bool
) -> None:
    source = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()
    assert repeated_name(orjson.loads(source), source) is None
