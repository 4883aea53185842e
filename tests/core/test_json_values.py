"""How deep a value is nested, and names that an object of JSON has twice."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as some

from core import json_values
from core.json_values import (
    DEEPEST,
    TEXT_OR_NAME,
    is_nested_too_deeply,
    is_shallow,
    repeated_name,
    without_texts,
)
from core.patches import is_deeper_than

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


def nested(levels: int, *, beside: str = "x") -> object:
    """Return a value of so many levels, with a text beside each of the inner ones."""
    value: object = []
    for _ in range(levels - 1):
        value = {"a": beside, "b": value}
    return value


@pytest.mark.parametrize("levels", [1, DEEPEST, DEEPEST + 1, DEEPEST + 2])
@pytest.mark.parametrize("beside", ["x" * 200, "}" * 200, "{" * 200, '"}]' * 60, "\\" * 99, "}{", "[", ""])
def test_no_text_in_a_value_hides_how_deep_it_is(levels: int, beside: str) -> None:
    value = nested(levels, beside=beside)
    assert is_nested_too_deeply(json.dumps(value).encode()) == (levels > DEEPEST)


@pytest.mark.parametrize("beside", ["", '"x": "]{", ', '"x": "\\"", '])
def test_a_member_that_a_later_one_hides_counts_too(beside: str) -> None:
    within, deeper = (
        f'{{{beside}"a": {"[" * levels}{"]" * levels}, "a": {{}}}}'.encode() for levels in (29, 30)
    )
    assert not is_nested_too_deeply(within)
    assert is_nested_too_deeply(deeper)
    assert not is_deeper_than(orjson.loads(deeper), 2)


@given(VALUES)
def test_without_its_texts_a_text_has_the_brackets_of_its_value(value: object) -> None:
    source = json.dumps(value, ensure_ascii=False).encode()
    assert without_texts(source) == TEXT_OR_NAME.sub(rb"\1", source)


@given(VALUES, some.sampled_from([None, 1]), some.integers(0, 4))
def test_the_levels_of_a_text_are_those_of_its_value(value: object, indent: int | None, levels: int) -> None:
    source = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_values, "DEEPEST", levels)
        patch.setattr(json_values, "SHORT", 0)
        assert is_nested_too_deeply(source) == is_deeper_than(value, levels)


def test_of_a_text_whose_texts_have_no_brackets_the_value_is_not_looked_at() -> None:
    rows = [{"id": f"P{number}", "mixins": {"shop": [number, {"at": "12:00"}]}} for number in range(200)]
    assert is_shallow(json.dumps(rows).encode())
    assert not is_shallow(json.dumps([*rows, {"id": "[0]"}]).encode())
