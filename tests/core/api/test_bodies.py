"""What bodies may be: not compressed, and JSON that is nested only so deeply."""

from collections.abc import Callable
from gzip import compress
from io import BytesIO

import pytest
from django.http import HttpResponse

from accounts.identity.scopes import SEGMENT_MANAGE
from core.api.json import JsonParser
from core.errors import MalformedBody
from core.json_values import DEEPEST
from core.patches import is_deeper_than
from tests.conftest import Api, web_client


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


@pytest.mark.parametrize("name", ["Café", "Cafe\u0301", "Caf\\u00e9", "Cafe\\u0301"])
def test_texts_of_a_body_are_composed_however_they_are_written(name: str) -> None:
    assert parsed(f'[{{"name": "{name}", "mixins": {{"a": "e\\u0301"}}}}]') == [
        {"name": "Café", "mixins": {"a": "e\u0301"}}
    ]
    assert parsed(f'{{"{name}": 1}}') == {"Café": 1}


def assert_coding_refused(answer: HttpResponse) -> None:
    assert (answer.status_code, answer["Accept-Encoding"]) == (415, "identity")
    assert "Compressed bodies are not read; send the body without Content-Encoding." in answer.text


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "gzip, identity"])
def test_a_compressed_body_is_refused_as_what_it_is(service_api: Callable[..., Api], coding: str) -> None:
    api = service_api(SEGMENT_MANAGE)
    sent = {"data": compress(b"{}"), "content_type": "application/json"}
    headers = {**api.headers, "Content-Encoding": coding}
    assert_coding_refused(api.client.post("/customer-segment/acme/segments", headers=headers, **sent))


def test_a_compressed_form_is_refused_as_what_it_is(db: None) -> None:
    form = {"data": compress(b"grant_type=a"), "content_type": "application/x-www-form-urlencoded"}
    assert_coding_refused(web_client().post("/oauth/token", headers={"Content-Encoding": "gzip"}, **form))


def test_a_body_that_says_that_it_is_not_compressed_is_read(service_api: Callable[..., Api]) -> None:
    answer = service_api(SEGMENT_MANAGE).post(
        "/customer-segment/acme/segments", {}, headers={"Content-Encoding": "identity"}
    )
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, "siteCode")
