"""Conditional reads: answers that carry a tag, and the 304 for clients that hold the present one."""

import hashlib
from collections.abc import Callable, Iterable

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from rest_framework.request import Request

LONGEST_HEADER = 4_000
PAGE_HEADERS = ("X-Total-Count", "X-Next-Cursor", "X-Prev-Cursor")


def entity_tag(parts: Iterable[object]) -> str:
    """Return the tag that stands for these facts; it differs when any of them does."""
    digest = hashlib.blake2b(orjson.dumps(list(parts), default=str), digest_size=16)
    return f'"{digest.hexdigest()}"'


def is_held(tag: str, header: str | None) -> bool:
    """Say whether the tag is among those of an If-None-Match header; `*` stands for any."""
    if not header or len(header) > LONGEST_HEADER:
        return False
    held = [entry.strip().removeprefix("W/") for entry in header.split(",")]
    return tag in held or held == ["*"]


def private_response(
    request: Request | HttpRequest, parts: Iterable[object], answer: Callable[[], HttpResponse]
) -> HttpResponse:
    """Answer 304 when the client holds what `parts` stand for, else what `answer` returns, with its tag.

    The answer belongs to the caller alone: it may be kept by the client, never by a shared cache. `parts`
    are all that it depends on apart from the address; the languages and the wish for a count are added here.
    """
    headers = request.META  # `request.headers` would copy all of them first
    tag = entity_tag([*parts, headers.get("HTTP_ACCEPT_LANGUAGE", ""), headers.get("HTTP_X_TOTAL_COUNT", "")])
    response = HttpResponseNotModified() if is_held(tag, headers.get("HTTP_IF_NONE_MATCH")) else answer()
    response["ETag"] = tag
    response["Cache-Control"] = "private"
    response["Vary"] = "Authorization, Accept-Language"
    return response


def private_response_from(request: Request | HttpRequest, answer: HttpResponse) -> HttpResponse:
    """As `private_response`, for an answer that is made already: its tag stands for all that it says."""
    said = [answer.content.decode(), *(answer.get(name, "") for name in PAGE_HEADERS)]
    return private_response(request, said, lambda: answer)
