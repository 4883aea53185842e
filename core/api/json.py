"""JSON in and out."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from core.errors import MalformedBody
from core.text import normalized_json

DEEPEST_BODY = 30


class JsonParser(BaseParser):
    """Reads any body as JSON: clients of these services often send it without a content type.

    Texts are normalized to NFC here once, apart from `mixins`. The character NUL is refused, because
    PostgreSQL can store it nowhere. Raises MalformedBody, and RequestDataTooBig before more is read than a
    body may have: Django looks only at the length of forms.
    """

    media_type = "application/json"  # only for the schema: AlwaysJson chooses this parser for any type

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
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
        if content.count(b"{") + content.count(b"[") > DEEPEST_BODY and is_deeper_than(body, DEEPEST_BODY):
            raise MalformedBody(f"The body is nested more than {DEEPEST_BODY} levels deep.")
        if b"\\u0000" in content and "\x00" in flat_text(body):
            raise MalformedBody("The body holds the character NUL (\\u0000), which cannot be stored.")
        if not content.isascii() or b"\\u" in content:
            return normalized_json(body)
        return body


def is_deeper_than(value: object, levels: int) -> bool:
    """Say whether objects and lists are nested deeper than so many levels."""
    nested = [value]  # all values of one level
    for _ in range(levels):
        inner: list[object] = []
        for entry in nested:
            if isinstance(entry, dict):
                inner += entry.values()
            elif isinstance(entry, list):
                inner += entry
        if not inner:
            return False
        nested = inner
    return any(isinstance(entry, dict | list) for entry in nested)


def flat_text(value: object) -> str:
    """Return every text in a JSON value, member names included, as one."""
    match value:
        case str():
            return value
        case dict():
            return "".join(key + flat_text(entry) for key, entry in value.items())
        case list():
            return "".join(flat_text(entry) for entry in value)
    return ""


class JsonRenderer(BaseRenderer):
    """Writes JSON with orjson."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return orjson.dumps(data, default=str)
