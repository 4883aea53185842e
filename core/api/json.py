"""JSON in and out."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from core.errors import MalformedBody
from core.json_values import DEEPEST, holds_nul, is_nested_too_deeply
from core.text import normalized_json


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
        if is_nested_too_deeply(body, content):
            raise MalformedBody(f"The body is nested more than {DEEPEST} levels deep.")
        if holds_nul(body, content):
            raise MalformedBody("The body holds the character NUL (\\u0000), which cannot be stored.")
        if not content.isascii() or b"\\u" in content:
            return normalized_json(body)
        return body


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
