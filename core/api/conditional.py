"""Conditional requests (RFC 9110): entity tags, 304 for clients that hold the present state, If-Match."""

import hashlib
from collections.abc import Callable, Iterable

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import get_conditional_response
from django.utils.http import parse_etags
from rest_framework.request import Request

from core.api.kept_bodies import CODINGS, HELD, KEPT, MADE, accepted_coding, coded_tag, kept_bodies
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


def kept_response(
    request: Request | HttpRequest,
    parts: Iterable[object],
    answer: Callable[[], HttpResponse],
    *,
    cache_control: str = "private",
    vary: str = "Authorization, Accept-Language, Accept-Encoding",
) -> HttpResponse:
    """Return 304 when the client holds the response that depends on `parts`, else its body.

    `parts` are all that it depends on, as they are now. A body that this process has answered for the same
    parts is not made again, and is sent compressed to clients that accept that. Shared caches may not keep
    it, unless `cache_control` says so.
    """
    meta, tag = request.META, entity_tag(parts)  # `request.headers` would copy all of them first
    if held := held_form(tag, meta.get("HTTP_IF_NONE_MATCH")):
        response: HttpResponse = HttpResponseNotModified()
        response.headers["ETag"] = held
        HELD.inc()
    else:
        response = body_of(tag, answer, meta.get("HTTP_ACCEPT_ENCODING", ""))
    response.headers["Cache-Control"] = cache_control
    response.headers["Vary"] = vary
    return response


def body_of(tag: str, answer: Callable[[], HttpResponse], accept_encoding: str) -> HttpResponse:
    """Return the response of this tag with its ETag: what is kept, else what `answer` makes."""
    bodies = kept_bodies()
    kept, response = bodies.get(tag), None
    (MADE if kept is None else KEPT).inc()
    if kept is None:
        response = answer()
        kept = bodies.keep(tag, response)
    coding = ""
    if accept_encoding and (response is None or settings.RESPONSE_COMPRESSION == "all"):
        coding = accepted_coding(accept_encoding) if kept.is_worth_coding else ""
    if coding:
        response = bodies.in_coding(tag, kept, coding).response(coding)
    elif response is None:
        response = kept.response()
    response.headers["ETag"] = coded_tag(tag, coding)
    return response


def held_form(tag: str, header: str | None) -> str:
    """Return the tag, or that of a compressed form, which an If-None-Match header names; else empty."""
    if not header:
        return ""
    held = listed_tags(header)
    if held == [ANY]:
        return tag
    forms = (tag, *(coded_tag(tag, coding) for coding in CODINGS))
    return next((form for form in forms if form in held), "")


def private_response_from(request: Request | HttpRequest, answer: HttpResponse) -> HttpResponse:
    """Return a response that is made already and says something of a person, or 304 to who holds it.

    Its tag covers all that it says. It is kept nowhere but by the client, and never compressed.
    """
    said = [answer.content.decode(), *(answer.get(name, "") for name in PAGE_HEADERS)]
    tag = entity_tag(said)
    held = is_held(tag, request.META.get("HTTP_IF_NONE_MATCH"))
    response = HttpResponseNotModified() if held else answer
    response["ETag"] = tag
    response["Cache-Control"] = "private"
    response["Vary"] = "Authorization, Accept-Language"
    return response
