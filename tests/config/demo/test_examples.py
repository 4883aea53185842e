"""The examples of the OpenAPI document are requests that the demo shop answers as they say.

`RECORD_EXAMPLES=1 make test ARGS=tests/config/demo/test_examples.py` writes them anew.
"""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core import mail
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator
from pytest_django import DjangoCaptureOnCommitCallbacks

from config.openapi_examples import FILE, recorded_examples
from core.journal.models import Beginning
from core.json_types import JsonObject
from events.operations import configuration
from tests.config.demo.conftest import DemoShop
from tests.config.demo.example_requests import EXAMPLES, Example
from tests.conftest import web_client

THEN = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST_LIST = 2  # more entries of a list show nothing new
LONGEST_TOKEN = 60
LONGEST_TEXT = 400


@pytest.fixture(scope="module")
def document() -> JsonObject:
    return SchemaGenerator().get_schema(request=None, public=True)


@pytest.fixture(scope="module")
def operations(document: JsonObject) -> dict[str, tuple[str, str, JsonObject]]:
    """The method, path and description of each operation."""
    return {
        operation["operationId"]: (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def filled(value: object, saved: dict[str, str]) -> object:
    """Return the value with `{name}` replaced by what was saved."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: saved[found[1]], value)
    if isinstance(value, dict):
        return {name: filled(entry, saved) for name, entry in value.items()}
    return [filled(entry, saved) for entry in value] if isinstance(value, list) else value


def shortened(value: object) -> object:
    """Return an answer as an example shows it: lists and tokens cut."""
    if isinstance(value, dict):
        return {name: shortened(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [shortened(entry) for entry in value[:LONGEST_LIST]]
    if isinstance(value, str) and len(value) > LONGEST_TOKEN and " " not in value:
        return f"{value[:20]}..."
    return value


def send(example: Example, method: str, path: str, saved: dict[str, str]) -> tuple[JsonObject, Any]:
    """Send the request; return what the example says of it, and the answer."""
    arguments = {**filled(example.arguments, saved), **({"tenant": "demo"} if "{tenant}" in path else {})}
    query = filled(example.query, saved)
    headers = {**example.headers}
    if example.caller != "nobody":
        headers["Authorization"] = f"Bearer {saved[example.caller]}"
    body = filled(example.body, saved)
    sent: JsonObject = {"headers": headers, "query_params": query}
    if path == "/oauth/token":
        sent |= {"data": urlencode(body), "content_type": "application/x-www-form-urlencoded"}
    elif body is not None:
        content = json.dumps(body) if example.media_type == "application/json" else body
        sent |= {"data": content, "content_type": example.media_type}
    elif method == "post":
        sent |= {"data": b"", "content_type": "application/json"}
    answer = getattr(web_client(), method)(path.format(**arguments), **sent)
    shown = {"arguments": arguments, "query": shortened(query), "status": str(answer.status_code)}
    if example.body is not None:
        shown["request"] = shortened_body(body)
    if example.media_type != "application/json":
        shown["mediaType"] = example.media_type
    if answer.content:
        is_json = answer["Content-Type"].startswith("application/json")
        shown["response"] = shortened(answer.json()) if is_json else answer.content.decode()[:LONGEST_TEXT]
    elif "ndjson" in answer.headers.get("Content-Type", ""):
        shown["response"] = ""  # a page without lines
    return shown, answer


def member_of(document: object, path: str) -> str:
    """Return a member of an answer: `access_token`, or `0.id` of the first entry of a list."""
    for name in path.split("."):
        document = document[int(name)] if isinstance(document, list) else document[name]
    return str(document)


def shortened_body(body: object) -> object:
    """Return a body of a request: tokens are cut, nothing else."""
    if isinstance(body, dict) and "token" in body:
        return {**body, "token": shortened(body["token"])}
    return body


@pytest.fixture
def answers(
    shop: DemoShop,
    stored_signing_keys: None,
    operations: JsonObject,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, JsonObject]:
    """What the demo shop answers to each request. Targets of webhooks are not asked."""
    monkeypatch.setattr(configuration, "is_accessible", lambda url: True)
    Beginning.objects.update(at=THEN)  # requests of tests happen before the history began
    saved: dict[str, str] = {}
    answered = {}
    for example in EXAMPLES:
        method, path, _ = operations[example.operation]
        if example.caller == "anonymous_again" and "anonymous_again" not in saved:
            again = {"tenant": "demo", "client_id": "demo-storefront"}
            opened = web_client().get("/customerlogin/auth/anonymous/login", query_params=again)
            saved["anonymous_again"] = opened.json()["access_token"]
        with django_capture_on_commit_callbacks(execute=True):
            answered[example.operation], answer = send(example, method, path, saved)
        assert answer.status_code < 400 or example.operation in NO_PROVIDER, (example, answer.content)
        for name, member in example.saves.items():
            saved[name] = member_of(answer.json(), member)
        if mail.outbox:
            saved["reset"] = re.search(r"\S{60,}", mail.outbox[-1].body)[0]
    if os.environ.get("RECORD_EXAMPLES"):
        FILE.write_text(json.dumps(answered, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
        recorded_examples.cache_clear()
    return answered


NO_PROVIDER = {"POST-customer-exchange-authtoken", "POST-customer-login-customer-by-auth0"}


def test_every_example_is_answered_as_it_says(answers: dict[str, JsonObject]) -> None:
    recorded = recorded_examples()
    statuses = {operation: shown["status"] for operation, shown in answers.items()}
    assert statuses == {operation: example["status"] for operation, example in recorded.items()}
    assert {operation for operation, status in statuses.items() if status[0] != "2"} == NO_PROVIDER
    for operation, shown in answers.items():
        assert members_of(shown.get("response")) == members_of(recorded[operation].get("response")), operation
        assert without_made(shown.get("request")) == without_made(recorded[operation].get("request"))


def without_made(body: object) -> object:
    """Return a body without the token of a reset and without generated ids, which are others each time."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "generated", json.dumps(body))
    body = json.loads(text)
    return {**body, "token": ""} if isinstance(body, dict) and "token" in body else body


def members_of(value: object) -> object:
    """Return the shape of an answer: the names of its members."""
    if isinstance(value, dict):
        return {name: members_of(entry) for name, entry in value.items()}
    return [members_of(entry) for entry in value] if isinstance(value, list) else None


def test_every_operation_has_an_example(operations: JsonObject) -> None:
    assert {example.operation for example in EXAMPLES} == set(operations) == set(recorded_examples())
    for operation_id, (_, _, operation) in operations.items():
        example = recorded_examples()[operation_id]
        content = operation["responses"][example["status"]].get("content", {})
        assert all("example" in described for described in content.values()), operation_id
        assert all(
            "example" in described
            for media_type, described in operation.get("requestBody", {}).get("content", {}).items()
            if media_type == example.get("mediaType", media_type)
        ), operation_id
        assert all(
            "example" in parameter
            for parameter in operation.get("parameters", [])
            if parameter.get("required")
        ), operation_id


def as_json_schema(schema: Any) -> object:
    """Return a schema of OpenAPI 3.0 as JSON Schema; members that it does not name are refused."""
    if isinstance(schema, list):
        return [as_json_schema(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    read = {
        name: as_json_schema(value)
        for name, value in schema.items()
        if name not in ("nullable", "properties")
    }
    if "properties" in schema:
        read["properties"] = {name: as_json_schema(member) for name, member in schema["properties"].items()}
        read.setdefault("additionalProperties", False)
    return {"anyOf": [read, {"type": "null"}]} if schema.get("nullable") is True else read


def examples_with_schemas(operations: JsonObject) -> Iterator[tuple[str, Any, JsonObject]]:
    for operation_id, (_, _, operation) in operations.items():
        example = recorded_examples()[operation_id]
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if media_type != example.get("mediaType", media_type):
                continue
            yield f"{operation_id} request", example["request"], content["schema"]
        for content in operation["responses"][example["status"]].get("content", {}).values():
            yield f"{operation_id} response", example["response"], content["schema"]


REFUSED_ENTRIES = {  # whose second entry shows how a refusal looks
    "PUT-customer-segment-update-segments-bulk request",
    "PUT-product-update-bulk-products request",
}


def test_every_example_is_what_its_schema_says(document: JsonObject, operations: JsonObject) -> None:
    components = as_json_schema(document["components"])
    faults = {}
    for name, example, schema in examples_with_schemas(operations):
        checked = example[:1] if name in REFUSED_ENTRIES else example
        validator = Draft202012Validator({**as_json_schema(schema), "components": components})
        found = [f"{fault.json_path}: {fault.message[:200]}" for fault in validator.iter_errors(checked)]
        if found:
            faults[name] = found
    assert faults == {}
