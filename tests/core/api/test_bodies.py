"""How deeply the JSON of a body may be nested."""

from io import BytesIO

import pytest

from core.api.json import JsonParser
from core.errors import MalformedBody
from core.json_values import DEEPEST, is_deeper_than


@pytest.mark.parametrize(
    ("value", "depth"),
    [
        ("text", 0),
        ([], 1),
        ({}, 1),
        ([1, {"a": "b"}], 2),
        ({"a": [], "b": {"c": [{}]}}, 4),
        ([[], [[]], []], 3),
    ],
    ids=["text", "empty list", "empty object", "object in a list", "uneven object", "uneven list"],
)
def test_a_value_is_as_deep_as_its_deepest_list_or_object(value: object, depth: int) -> None:
    assert [is_deeper_than(value, levels) for levels in range(depth + 2)] == [True] * depth + [False] * 2


def parsed(text: str) -> object:
    return JsonParser().parse(BytesIO(text.encode()))


def test_a_body_may_be_nested_30_levels_deep() -> None:
    text = "[" * DEEPEST + "]" * DEEPEST
    assert not is_deeper_than(parsed(text), DEEPEST)
    with pytest.raises(MalformedBody, match="nested more than 30 levels deep"):
        parsed(f"[{text}]")


def test_a_long_body_is_not_taken_for_a_deep_one() -> None:
    rows = [{"id": "a", "mixins": {"b": [1]}}] * 200
    assert parsed(str(rows).replace("'", '"')) == rows
