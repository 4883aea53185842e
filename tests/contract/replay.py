"""Replays a published example: sends its request and compares the whole response.

A file names the operation, what is given before (a name for each set-up of the test module), the request with
the kind of token it carries, and the answer; no body in the answer means an empty one. ANY_TEXT in an answer
is what the service makes up, such as the id of a new redemption, or words that are tested elsewhere.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.json_types import JsonObject
from tests.conftest import Api

ANY_TEXT = "<any text>"


def read_examples(folder: str) -> list[JsonObject]:
    """Return the examples of a folder; `name` is the file's name."""
    files = sorted((Path(__file__).parent / folder).glob("*.json"))
    return [{"name": file.stem, **json.loads(file.read_text())} for file in files]


def as_parameters(examples: list[JsonObject]) -> list[object]:
    return [pytest.param(example, id=example["name"]) for example in examples]


def replay(example: JsonObject, tokens: Mapping[str, Callable[[], Api]]) -> None:
    """Send the request of the example and compare status and body of the response."""
    request, expected = example["request"], example["answer"]
    api = tokens[request["token"]]()
    response = api.send(
        request["method"], request["path"], request.get("body"), headers=request.get("headers")
    )

    assert response.status_code == expected["status"], response.content
    body = response.json() if response.content else None
    assert hide_texts(body, expected.get("body")) == expected.get("body")


def hide_texts(actual: object, expected: object) -> object:
    """Return `actual` with ANY_TEXT in the places where `expected` says so and there is a text."""
    if expected == ANY_TEXT and isinstance(actual, str) and actual:
        return ANY_TEXT
    if isinstance(actual, dict) and isinstance(expected, dict):
        return {name: hide_texts(value, expected.get(name)) for name, value in actual.items()}
    if isinstance(actual, list) and isinstance(expected, list) and len(actual) == len(expected):
        return [hide_texts(*pair) for pair in zip(actual, expected, strict=True)]
    return actual
