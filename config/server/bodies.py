"""Collects the bodies of requests without holding a thread."""

from collections.abc import Callable
from time import monotonic
from wsgiref.types import WSGIEnvironment

from config.server.budget import ByteBudget
from config.server.refusals import refuse
from config.server.responses import BUSY, LATE_BODY, LONG_BODY, STOPPING, Awaited, Exchange, Response

DISCARDED = 4  # times the longest body: what is read of a refused one, so that its client hears of it

Complete = Callable[[dict[str, object], Exchange, bytes, int], None]


class BodyCollector:
    """The bodies that a worker is receiving."""

    def __init__(
        self, complete: Complete, *, kept: int, longest: int, budget: ByteBudget, seconds: float
    ) -> None:
        self.complete = complete
        self.kept = kept  # bytes of a body that Django reads into memory; it refuses a longer one
        self.longest = longest
        self.budget = budget
        self.seconds = seconds
        self.receiving: set[Body] = set()
        self.is_stopping = False

    def collect(self, environ: dict[str, object], protocol: Exchange) -> None:
        """Call `complete` once the whole body is there, or send the refusal."""
        body = Body(self, environ, protocol)
        self.receiving.add(body)
        body.receive_next()

    def end_overdue(self) -> None:
        """Refuse the bodies whose deadline has passed; all of them when the worker is stopping."""
        now = monotonic()
        for body in [*self.receiving]:
            awaited = body.awaited
            if awaited is not None and (self.is_stopping or body.due < now):
                awaited.cancel()


class Body:
    """The body of one request. Its parts arrive by callbacks."""

    __slots__ = (
        "collector",
        "environ",
        "protocol",
        "length",
        "limit",
        "parts",
        "size",
        "kept",
        "due",
        "awaited",
        "is_busy",
    )

    def __init__(self, collector: BodyCollector, environ: WSGIEnvironment, protocol: Exchange) -> None:
        self.collector = collector
        self.environ = environ
        self.protocol = protocol
        self.length = int(environ.get("CONTENT_LENGTH") or -1)  # -1: it comes in chunks
        # Django bounds the fields of a form with files itself, and the files not at all
        is_form = environ.get("CONTENT_TYPE", "").startswith("multipart/")
        self.limit = collector.longest if is_form else collector.kept
        self.parts: list[bytes] = []
        self.size = 0
        self.kept = 0
        self.due = monotonic() + collector.seconds
        self.awaited: Awaited | None = None
        self.is_busy = False  # no memory was left for it: 503 once the client has sent everything

    def receive_next(self) -> None:
        self.awaited = awaited = self.protocol.receive()
        awaited.add_done_callback(self.take)

    def take(self, awaited: Awaited) -> None:
        """Take what has arrived.

        What exceeds the limit, or finds no memory left, is read and thrown away: a client that still sends
        when its connection is closed may never see the response.
        """
        # the future refers to us: such a circle would keep the connection open until Python looks for it
        self.awaited = None
        collector = self.collector
        if awaited.cancelled():
            if collector.is_stopping:
                return self.refuse(STOPPING, "stopping")
            return self.refuse(LATE_BODY, "late_body")
        message = awaited.result()
        if message["type"] != "http.request":
            return self.refuse(LATE_BODY, "client_gone")  # granian would log it if nothing was sent
        part = message["body"]
        self.size += len(part)
        if self.size > collector.longest:
            self.drop_parts()
        elif part and self.kept <= self.limit and not self.is_busy:
            if collector.budget.take(len(part)):
                self.parts.append(part)
                self.kept += len(part)
            else:
                self.is_busy = True
                self.drop_parts()
        if self.size != self.length and message["more_body"] and self.size <= DISCARDED * collector.longest:
            return self.receive_next()
        if self.size > collector.longest:
            return self.refuse(LONG_BODY, "long_body")
        return self.refuse(BUSY, "no_memory_for_body") if self.is_busy else self.complete()

    def complete(self) -> None:
        """Hand the request on. Of a body that is too long enough is kept for Django to refuse it."""
        self.environ["CONTENT_LENGTH"] = str(self.kept)
        body = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        self.collector.receiving.discard(self)
        self.collector.complete(self.environ, self.protocol, body, self.kept)

    def refuse(self, response: Response, reason: str) -> None:
        self.collector.receiving.discard(self)
        self.drop_parts()
        refuse(self.environ, self.protocol, response, reason)

    def drop_parts(self) -> None:
        self.collector.budget.give_back(self.kept)
        self.parts.clear()
        self.kept = 0
