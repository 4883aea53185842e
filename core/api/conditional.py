"""Conditional requests (RFC 9110): entity tags, 304 for clients that hold the present state, If-Match.

A worker keeps finished bodies by the tag that says all that they depend on. Whoever asks for one has just
read the state that its tag is made of, so it is never older than an answer that is read now. What is asked
for least recently goes first when the bound of bytes is reached.
"""

import gzip
import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from threading import Lock

import orjson
import zstandard
from cachetools import LRUCache
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import get_conditional_response
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.viewsets import ViewSet

from core.api.schema import WRITES_OF_ONE
from core.errors import AlreadyThere, InvalidInput, OtherVersion
from core.observation.metrics import counter, gauge

LONGEST_HEADER = 4_000
PAGE_HEADERS = ("X-Total-Count", "X-Next-Cursor", "X-Prev-Cursor")
ANY = "*"
PRIVATE = "private, no-cache"
"""For `Cache-Control`: clients may keep the response, and ask each time whether it has changed."""
MEGABYTE = 1_048_576
MOST_SUBJECTS = 4_096  # combinations of a tenant and subjects
OVERHEAD = 800  # bytes that an entry takes besides its bodies: tag, headers, objects
LARGEST_SHARE = 4  # no body takes more than this part of the bound
SMALLEST_COMPRESSED = 1_024
GZIP_LEVEL = 6
ZSTD_LEVEL = 6
CODINGS = ("zstd", "gzip")  # the better first
NOT_KEPT = frozenset({"ETag", "Cache-Control", "Vary"})  # said anew by each response

ANSWERS = counter(
    "cache_answers",
    "Responses by where their body was: held by the client (304), kept by the process, or made anew.",
    ("body",),
)
HELD, KEPT, MADE = (ANSWERS.labels(body) for body in ("held", "kept", "made"))
BYTES = gauge("cache_bytes", "Bytes of the bodies that web workers keep.")


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
    """Raise OtherVersion unless an If-Match header names the version of the locked document."""
    tags = listed_tags(header)
    if not tags:
        raise InvalidInput(
            'If-Match must be *, or the ETag of the document as it was read, such as "3" in double quotes.',
            field="If-Match",
        )
    if stored is None or (tags != [ANY] and version_tag(stored) not in tags):
        raise OtherVersion(stored)


def check_if_none_match(header: str, stored: int | None) -> None:
    """Raise AlreadyThere when an If-None-Match header names the version of the locked document, or any."""
    tags = listed_tags(header)
    if not tags:
        raise InvalidInput(
            'If-None-Match must be *, or ETags of the document such as "3" in double quotes.',
            field="If-None-Match",
        )
    if stored is not None and (tags == [ANY] or version_tag(stored) in tags):
        raise AlreadyThere


class ConditionalWrites(ViewSet):
    """Writes of one document under If-Match and If-None-Match."""

    @classmethod
    def has_versions(cls) -> bool:
        """Say whether the viewset's documents have versions that If-Match can name."""
        return cls.locked_version is not ConditionalWrites.locked_version

    def compares_version(self) -> bool:
        """Say whether the request writes one document that has a version."""
        return self.action in WRITES_OF_ONE and self.has_versions()

    def locked_version(self) -> int | None:
        """Lock the document that the address names, and return its version; None when there is none.

        Takes the locks that the operation takes first, in the same order (docs/locking.md). A viewset whose
        documents have versions overrides it.
        """
        raise NotImplementedError

    def check_conditions(self, stored: int | None) -> None:
        """Raise PreconditionFailed unless the headers allow to write the document, which has this version."""
        meta = self.request._request.META
        if "HTTP_IF_MATCH" in meta:
            check_if_match(meta["HTTP_IF_MATCH"], stored)
        if "HTTP_IF_NONE_MATCH" in meta:
            check_if_none_match(meta["HTTP_IF_NONE_MATCH"], stored)

    def handle_conditions(
        self, handler: Callable[..., HttpResponse], request: Request, *args: object, **kwargs: object
    ) -> HttpResponse:
        """Run the handler in one transaction with the comparison of If-Match and If-None-Match."""
        with transaction.atomic():
            stored = self.locked_version()
            if stored is not None:
                self.check_conditions(stored)
            response = handler(request, *args, **kwargs)
            if stored is None:  # the handler would have created it, or deleted nothing
                self.check_conditions(None)
                if self.action == "update" and response.status_code != 201:
                    raise AlreadyThere  # somebody else created it meanwhile
            return response


def document_with_tag(
    request: HttpRequest, response: HttpResponse, tag: str, *, covers_all: bool = True
) -> HttpResponse:
    """Return the response to a read of one document with its tag, or 304 when the client holds that.

    Without `covers_all`, what the document shows can change while the tag stays, so it is never 304. Raises
    OtherVersion when the header If-Match names another tag.
    """
    response["ETag"] = tag
    response["Cache-Control"] = PRIVATE
    response["Vary"] = "Authorization, Accept-Language"
    sent = "HTTP_IF_NONE_MATCH" in request.META or "HTTP_IF_MATCH" in request.META
    if not sent or not covers_all or request.method != "GET":
        return response
    chosen = get_conditional_response(request, etag=tag, response=response)
    assert chosen is not None  # it is the response unless another one is due
    if chosen.status_code == 412:
        version = tag.strip('"')
        raise OtherVersion(int(version) if version.isdecimal() else None)
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
    return tagged_response(request, entity_tag(parts), answer, cache_control=cache_control, vary=vary)


def tagged_response(
    request: Request | HttpRequest,
    tag: str,
    answer: Callable[[], HttpResponse],
    *,
    cache_control: str,
    vary: str = "Authorization, Accept-Language, Accept-Encoding",
) -> HttpResponse:
    """Return as `kept_response` does, with the tag of all that the response depends on."""
    meta = request.META  # `request.headers` would copy all of them first
    if held := held_form(tag, meta.get("HTTP_IF_NONE_MATCH")):
        response: HttpResponse = HttpResponseNotModified()
        response.headers["ETag"] = held
        HELD.inc()
    else:
        response = body_of(tag, answer, meta.get("HTTP_ACCEPT_ENCODING", ""))
    response.headers["Cache-Control"] = cache_control
    response.headers["Vary"] = vary
    return response


def revised_response(
    request: Request | HttpRequest,
    subjects: Hashable,
    facts: Sequence[object],
    answer: Callable[[], HttpResponse],
    *,
    read_revision: Callable[[], int],
    read_both: Callable[[], tuple[int, HttpResponse]],
    cache_control: str,
) -> HttpResponse:
    """Return as `kept_response` does what depends on the revision of subjects and on the facts.

    The revision is read by itself where nothing else is likely to be needed: where a body is kept, or held by
    the client, that is of the revision which this process saw last. Otherwise both are read at once.
    """
    bodies = kept_bodies()
    seen = bodies.seen_revisions.get(subjects)
    tag = "" if seen is None else entity_tag([seen, *facts])
    if tag and (tag in bodies.by_tag or held_form(tag, request.META.get("HTTP_IF_NONE_MATCH"))):
        revision = read_revision()
    else:
        revision, response = read_both()
        answer = lambda: response  # noqa: E731 -- it is made already
    if revision != seen:
        bodies.saw_revision(subjects, revision)
        tag = entity_tag([revision, *facts])
    return tagged_response(request, tag, answer, cache_control=cache_control)


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


@lru_cache(maxsize=1_024)
def accepted_coding(header: str) -> str:
    """Return the supported content coding that an Accept-Encoding header prefers; empty for none."""
    weights: dict[str, float] = {}
    for entry in header.lower().split(",")[:20]:
        name, _, weight = entry.partition(";")
        _, _, value = weight.partition("=")
        try:
            weights[name.strip()] = float(value) if value else 1.0
        except ValueError:
            weights[name.strip()] = 0.0
    liked = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in CODINGS}
    best = max(CODINGS, key=lambda coding: liked[coding])
    return best if liked[best] > 0.0 and liked[best] >= weights.get("identity", 0.0) else ""


def coded_tag(tag: str, coding: str) -> str:
    """Return the tag of a body in a content coding: other bytes need another tag (RFC 9110, 8.8.3.3)."""
    return f'{tag[:-1]}-{coding}"' if coding else tag


def compressed(body: bytes, coding: str) -> bytes:
    """Return the body in a content coding. The same body is always the same bytes."""
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)
    return gzip.compress(body, GZIP_LEVEL, mtime=0)


@dataclass(frozen=True, slots=True)
class KeptBody:
    """A body, its headers, and the compressed forms of it that somebody has asked for."""

    body: bytes
    headers: Mapping[str, str]
    coded: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return OVERHEAD + len(self.body) + sum(map(len, self.coded.values()))

    @property
    def is_worth_coding(self) -> bool:
        return len(self.body) >= SMALLEST_COMPRESSED

    def response(self, coding: str = "") -> HttpResponse:
        """Return the body as it was answered first, perhaps in one of its compressed forms."""
        response = HttpResponse(self.coded[coding] if coding else self.body)
        for name, value in self.headers.items():
            response.headers[name] = value
        if coding:
            response.headers["Content-Encoding"] = coding
        return response


class KeptBodies:
    """The bodies that this process keeps; safe to be used by several threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lock = Lock()
        self.by_tag: LRUCache[str, KeptBody] = LRUCache(limit, getsizeof=lambda kept: kept.size)
        self.seen_revisions: dict[Hashable, int] = {}

    def saw_revision(self, subjects: Hashable, revision: int) -> None:
        """Remember the revision that these subjects had last.

        It only says which body is worth looking for before the revision is read, never that it is valid.
        """
        if len(self.seen_revisions) >= MOST_SUBJECTS and subjects not in self.seen_revisions:
            self.seen_revisions.clear()
        self.seen_revisions[subjects] = revision

    def get(self, tag: str) -> KeptBody | None:
        """Return what is kept under the tag."""
        with self.lock:
            return self.by_tag.get(tag)

    def keep(self, tag: str, response: HttpResponse) -> KeptBody:
        """Keep the body of a response, unless it is too large."""
        headers = {name: value for name, value in response.items() if name not in NOT_KEPT}
        kept = KeptBody(response.content, headers)
        self.put(tag, kept)
        return kept

    def put(self, tag: str, kept: KeptBody) -> None:
        """Keep this under the tag, in place of what was."""
        if kept.size * LARGEST_SHARE <= self.limit:
            with self.lock:
                self.by_tag[tag] = kept
                BYTES.set(self.by_tag.currsize)

    def in_coding(self, tag: str, kept: KeptBody, coding: str) -> KeptBody:
        """Return what is kept with the compressed form of this coding, made now if nobody asked before."""
        if coding not in kept.coded:
            kept = replace(kept, coded={**kept.coded, coding: compressed(kept.body, coding)})
            self.put(tag, kept)
        return kept

    def clear(self) -> None:
        with self.lock:
            self.by_tag.clear()
            self.seen_revisions.clear()


@cache
def kept_bodies() -> KeptBodies:
    """Return what this process keeps, at most RESPONSE_CACHE_MB."""
    return KeptBodies(settings.RESPONSE_CACHE_MB * MEGABYTE)
