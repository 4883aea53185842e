"""Responses in the form that granian sends, and those that need no Django."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

Headers = list[tuple[bytes, bytes]]


class Awaited(Protocol):
    """A future of granian's."""

    def add_done_callback(self, callback: Callable[["Awaited"], object], /) -> object: ...
    def cancel(self) -> object: ...
    def cancelled(self) -> bool: ...
    def result(self) -> Mapping[str, Any]: ...


class Exchange(Protocol):
    """A request and its response as granian has them; any thread may use it, and nothing blocks."""

    def receive(self) -> Awaited: ...
    def send(self, message: dict[str, object], /) -> object: ...


class Response(NamedTuple):
    status: int
    headers: Headers
    body: bytes


def json_response(status: int, body: dict[str, object], *headers: tuple[bytes, bytes]) -> Response:
    content = json.dumps(body).encode()
    fixed = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(content)),
        (b"x-content-type-options", b"nosniff"),
    ]
    return Response(status, [*fixed, *headers], content)


def refusal(status: int, reason: str, message: str, *headers: tuple[bytes, bytes]) -> Response:
    """Return an error with the fields that the error bodies of all services have in common."""
    return json_response(status, {"code": status, "status": reason, "message": message}, *headers)


RETRY = (b"retry-after", b"1")
CLOSE = (b"connection", b"close")

HEALTHY = json_response(200, {"status": "up"}, (b"cache-control", b"no-store"))
HEALTHY_AND_LEAVING = HEALTHY._replace(headers=[*HEALTHY.headers, CLOSE])
NOT_READY = json_response(503, {"status": "down", "database": "no answer within 2 seconds"}, RETRY)
BUSY = refusal(503, "Service Unavailable", "The service is busy; try again.", RETRY)
STOPPING = refusal(503, "Service Unavailable", "The service is restarting; try again.", RETRY, CLOSE)
LATE_BODY = refusal(408, "Request Timeout", "The request's body did not arrive in time.", CLOSE)
LONG_BODY = refusal(413, "Content Too Large", "The request's body is too large.", CLOSE)
FAILED = refusal(500, "Internal Server Error", "Something went wrong while processing the request.")


def encoded_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    return [encoded_header(name, value) for name, value in headers]


@lru_cache(maxsize=1_024)
def encoded_header(name: str, value: str) -> tuple[bytes, bytes]:
    """Return the bytes of a header; most responses have the same ones."""
    return name.encode("latin-1"), value.encode("latin-1")


def send(protocol: Exchange, response: Response) -> None:
    """Hand the whole response to granian, from any thread; it never blocks."""
    protocol.send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    protocol.send({"type": "http.response.body", "body": response.body, "more_body": False})
