"""Finished bodies that a worker keeps, by the tag that says all that they depend on.

Whoever asks for one has just read the state that its tag is made of, so it is never older than an answer that
is read now. What is asked for least recently goes first when the bound of bytes is reached.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from threading import Lock

import zstandard
from cachetools import LRUCache
from django.conf import settings
from django.http import HttpResponse

from core.observation.metrics import counter, gauge

MEGABYTE = 1_048_576
OVERHEAD = 800  # bytes that an entry takes besides its bodies: tag, headers, objects
LARGEST_SHARE = 4  # no body takes more than this part of the bound
SMALLEST_COMPRESSED = 1_024
GZIP_LEVEL = 6
ZSTD_LEVEL = 6
CODINGS = ("zstd", "gzip")  # the better first
NOT_KEPT = frozenset({"ETag", "Cache-Control", "Vary"})  # said anew by each response


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


ANSWERS = counter(
    "cache_answers",
    "Responses by where their body was: held by the client (304), kept by the process, or made anew.",
    ("body",),
)
HELD, KEPT, MADE = (ANSWERS.labels(body) for body in ("held", "kept", "made"))
BYTES = gauge("cache_bytes", "Bytes of the bodies that web workers keep.")


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


@cache
def kept_bodies() -> KeptBodies:
    """Return what this process keeps, at most RESPONSE_CACHE_MB."""
    return KeptBodies(settings.RESPONSE_CACHE_MB * MEGABYTE)
