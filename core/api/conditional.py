"""Conditional requests (RFC 9110): entity tags, 304 for clients that hold the present state, If-Match."""

import hashlib
from collections.abc import Callable, Iterable

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import get_conditional_response
from django.utils.http import parse_etags
from rest_framework.request import Request

from core.errors import InvalidInput, PreconditionFailed

LONGEST_HEADER = 4_000
PAGE_HEADERS = ("X-Total-Count", "X-Next-Cursor", "X-Prev-Cursor")
ANY = "*"


def entity_tag(parts: Iterable[object]) -> str:
    """Return a tag made of these facts; it differs when any of them does."""
    digest = hashlib.blake2b(orjson.dumps(list(parts), default=str), digest_size=16)
    return f'"{digest.hexdigest()}"'


def version_tag(version: int) -> str:
    """Return the tag of a document in this version, whatever the language that it is shown in."""
    return f'"{version}"'


def listed_tags(header: str) -> list[str]:
    """Return the tags of an If-Match or If-None-Match header; weak ones count as strong ones."""
    if len(header) > LONGEST_HEADER:
        return []
    return [tag.removeprefix("W/") for tag in parse_etags(header)]


def is_held(tag: str, header: str | None) -> bool:
    """Say whether the tag is among those of an If-None-Match header; `*` means any."""
    held = listed_tags(header or "")
    return tag in held or held == [ANY]


def check_if_match(header: str, stored: int | None) -> None:
    """Raise PreconditionFailed unless an If-Match header names the version of the locked document."""
    tags = listed_tags(header)
    if not tags:
        raise InvalidInput(
            'If-Match must be *, or the ETag of the document as it was read, such as "3" in double quotes.',
            field="If-Match",
        )
    if stored is None or (tags != [ANY] and version_tag(stored) not in tags):
        raise PreconditionFailed(stored=stored)


def document_with_tag(
    request: HttpRequest, response: HttpResponse, tag: str, *, covers_all: bool = True
) -> HttpResponse:
    """Return the response to a read of one document with its tag, or 304 when the client holds that.

    Without `covers_all`, what the document shows can change while the tag stays, so it is never 304. Raises
    PreconditionFailed when the header If-Match names another tag.
    """
    response["ETag"] = tag
    response["Cache-Control"] = "private, no-cache"  # clients may keep it, and ask whether it has changed
    response["Vary"] = "Authorization, Accept-Language"
    sent = "HTTP_IF_NONE_MATCH" in request.META or "HTTP_IF_MATCH" in request.META
    if not sent or not covers_all or request.method != "GET":
        return response
    chosen = get_conditional_response(request, etag=tag, response=response)
    assert chosen is not None  # it is the response unless another one is due
    if chosen.status_code == 412:
        version = tag.strip('"')
        raise PreconditionFailed(stored=int(version) if version.isdecimal() else None)
    return chosen


def private_response(
    request: Request | HttpRequest, tag: str, answer: Callable[[], HttpResponse]
) -> HttpResponse:
    """Return 304 when the client holds the response of this tag, else what `answer` returns.

    The response belongs to the caller only: the client may keep it, a shared cache may not.
    """
    held = is_held(tag, request.META.get("HTTP_IF_NONE_MATCH"))
    response = HttpResponseNotModified() if held else answer()
    response["ETag"] = tag
    response["Cache-Control"] = "private"
    response["Vary"] = "Authorization, Accept-Language"
    return response


def private_response_from(request: Request | HttpRequest, answer: HttpResponse) -> HttpResponse:
    """As `private_response`, for a response that is made already: its tag covers all that it says."""
    said = [answer.content.decode(), *(answer.get(name, "") for name in PAGE_HEADERS)]
    return private_response(request, entity_tag(said), lambda: answer)
