"""JSON in and out; in bulk operations up to 200 rows in, one entry per row out (207)."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from operator import attrgetter
from typing import IO, Any

import msgspec
import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpResponse
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from core.api.error_bodies import status_of
from core.api.preferences import wants_strict
from core.errors import InvalidBody, MalformedBody, Problem
from core.json_values import DEEPEST, SHORT, has_escape, holds_nul, is_nested_too_deeply, repeated_name
from core.sql.upserts import RowResult
from core.text import is_normalized_utf8, normalized_json

LARGEST_BATCH = 200
CREATED = 201, "Created"
UPDATED = 204, "OK"


class JsonParser(BaseParser):
    """Reads any body as JSON: clients of these services often send it without a content type.

    Texts are normalized to NFC here once, apart from `mixins`. The character NUL is refused, because
    PostgreSQL can store it nowhere. Of members with the same name the last one counts, as in the published
    services; strict handling refuses them. Raises MalformedBody, InvalidBody, and RequestDataTooBig before
    more is read than a body may have: Django looks only at the length of forms.
    """

    media_type = "application/json"  # only for the schema: AlwaysJson chooses this parser for any type

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        refuses_repeated = is_strict(parser_context)
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        content = stream.read(most + 1)
        if len(content) > most:
            raise RequestDataTooBig
        if not content.strip():
            return None
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise MalformedBody(f"The body is not valid JSON: {error}") from error
        if is_plain(content) and not refuses_repeated:
            return body
        if is_nested_too_deeply(content):
            raise MalformedBody(f"The body is nested more than {DEEPEST} levels deep.")
        if holds_nul(body, content):
            raise MalformedBody("The body holds the character NUL (\\u0000), which cannot be stored.")
        if refuses_repeated and (name := repeated_name(body, content)) is not None:
            message = (
                f"An object in the body has the field {name[:200]} twice; only the last one would count."
            )
            raise InvalidBody([Problem(name[:200], "repeated_field", message)])
        if has_escape(content, b"\\u") or not is_normalized_utf8(content):
            return normalized_json(body)
        return body


def is_plain(content: bytes) -> bool:
    """Say whether a short text shows that its value keeps to all that any value must.

    It has too few brackets to be nested too deeply, no escape that could be NUL, and nothing to normalize.
    """
    return (
        len(content) <= SHORT
        and content.count(b"{") + content.count(b"[") <= DEEPEST
        and b"\\" not in content
        and content.isascii()
    )


def is_strict(context: Mapping[str, Any] | None) -> bool:
    """Say whether the request that is parsed prefers strict handling."""
    header = context["request"].META.get("HTTP_PREFER") if context and "request" in context else None
    return header is not None and wants_strict(header)


class JsonRenderer(BaseRenderer):
    """Writes JSON with orjson."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=str)


def json_response(body: object, status: int = 200) -> HttpResponse:
    """Return the body, of which parts may be bodies of core.bodies, as JSON."""
    content = orjson.dumps(body, default=msgspec.to_builtins)
    return HttpResponse(content, status=status, content_type="application/json")


def read_batch(body: object) -> list[Any]:
    """Return the rows of a bulk body; refuse it whole when it is no list, empty, or longer than 200."""
    if not isinstance(body, list):
        raise MalformedBody("The body is a list of 1 to 200 entries.")
    if not 1 <= len(body) <= LARGEST_BATCH:
        raise MalformedBody(f"The body lists 1 to {LARGEST_BATCH} entries, not {len(body)}.")
    return body


def segment_entry(outcome: RowResult) -> dict[str, object]:
    """One row's result as customer segments say it: counted from 1, 204 being "OK"."""
    entry: dict[str, object] = {"index": outcome.position + 1}
    if outcome.id:
        entry["id"] = outcome.id
    if outcome.error is None:
        entry["code"], entry["status"] = CREATED if outcome.created else UPDATED
        return entry
    status = status_of(outcome.error)
    entry |= {"code": status.value, "status": status.phrase, "message": outcome.error.message}
    if more_info := getattr(outcome.error, "more_info", ""):
        entry["details"] = {"moreInfo": more_info}
    return entry


def result_status(outcome: RowResult) -> HTTPStatus:
    if outcome.error:
        return status_of(outcome.error)
    return HTTPStatus.CREATED if outcome.created else HTTPStatus.NO_CONTENT


def multi_status(
    outcomes: Iterable[RowResult], entry: Callable[[RowResult], dict[str, object]] = segment_entry
) -> HttpResponse:
    """Answer 207 with one entry per row, in input order."""
    ordered = sorted(outcomes, key=attrgetter("position"))
    return HttpResponse(
        orjson.dumps([entry(outcome) for outcome in ordered]), status=207, content_type="application/json"
    )
