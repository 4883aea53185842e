"""Runs an operation in process, and keeps which statements it sent and what it answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from django.db import connection
from django.test import Client
from django.test.client import FakePayload

from bench.load import Request
from core.json_types import JsonObject
from core.sql.fetching import AttributedServerCursor


class FreshId:
    """Takes the place of an id that the operation generated: each repetition needs another."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with the parameters that it was sent with."""

    sql: str
    params: Any
    prepared: bool = False

    @property
    def writes_rows(self) -> bool:
        return self.sql.startswith("INSERT INTO ")

    def with_params(self, change: Callable[[Any], Any]) -> "Statement":
        """Return the statement with each of its parameters changed."""
        match self.params:
            case None:
                return self
            case dict():
                changed: Any = {name: change(value) for name, value in self.params.items()}
            case _:
                changed = tuple(map(change, self.params))
        return Statement(self.sql, changed, self.prepared)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a request came to: its statements in order, and the bytes of its answer."""

    status: int
    body: bytes
    headers: dict[str, str]
    statements: tuple[Statement, ...]


@cache
def client() -> Client:
    """Return the one client of this process: making its chain of middleware takes 25 ms."""
    return Client(raise_request_exception=False)


def perform(request: Request) -> Replay:
    """Send the request through the whole project in this process, and note its statements."""
    statements: list[Statement] = []

    def note(execute: Any, text: str, values: Any, many: bool, context: JsonObject) -> Any:
        prepared = isinstance(context["cursor"].cursor, AttributedServerCursor)  # see fetch_rows
        statements.append(Statement(str(text), values, prepared))
        return execute(text, values, many, context)

    path, _, query = request.path.partition("?")
    with connection.execute_wrapper(note):
        answer = client().request(
            REQUEST_METHOD=request.method,
            PATH_INFO=path,
            QUERY_STRING=query,
            CONTENT_LENGTH=str(len(request.body)),
            CONTENT_TYPE=dict(request.headers).get("Content-Type", ""),
            **{"wsgi.input": FakePayload(request.body)},
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers},
        )
    body = bytes(answer.content)
    return Replay(
        answer.status_code, body, dict(answer.items()), tuple(with_fresh_ids(statements, body, answer))
    )


def with_fresh_ids(statements: Sequence[Statement], body: bytes, answer: Any) -> Sequence[Statement]:
    """Mark the values that equal the id of what was created, so that the statements can be sent again."""
    if answer.status_code != 201:
        return statements
    created = orjson.loads(body).get("id")
    return [
        statement.with_params(lambda value: FreshId if value == created else value)
        for statement in statements
    ]
