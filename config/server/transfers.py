"""Sends large responses part by part, as fast as the client fetches them."""

import threading
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TypeGuard

from config.server.budget import ByteBudget
from config.server.responses import BUSY, Awaited, Exchange, Headers, Response, send

LARGE = 256 * 1024  # bytes; a smaller response is handed to granian whole


class Transfers:
    """The large responses that a worker is sending.

    A response that is complete needs no thread. One that is made while it is sent (a file, an export)
    keeps its thread until its end; so the client has a deadline for each part.
    """

    def __init__(self, *, budget: ByteBudget, seconds: float) -> None:
        self.budget = budget
        self.seconds = seconds
        self.sending: set[Transfer] = set()

    def send(self, protocol: Exchange, response: Response) -> None:
        """Send the response without waiting for the client; 503 when too many bytes wait for clients."""
        if len(response.body) <= LARGE:
            send(protocol, response)
        elif self.budget.take(len(response.body)):
            Transfer(self, protocol, response).start()
        else:
            send(protocol, BUSY)

    def send_stream(self, protocol: Exchange, status: int, headers: Headers, pieces: Iterable[bytes]) -> None:
        """Send the pieces while they are made. A client that stops fetching them loses its connection."""
        parts = joined(pieces)
        part = next(parts, b"")
        following = next(parts, None)
        if following is None:
            return self.send(protocol, Response(status, headers, part))
        protocol.send({"type": "http.response.start", "status": status, "headers": headers})
        while self._is_fetched(protocol, part):
            if following is None:
                protocol.send({"type": "http.response.body", "body": b"", "more_body": False})
                break
            part, following = following, next(parts, None)
        return None

    def _is_fetched(self, protocol: Exchange, part: bytes) -> bool:
        awaited = protocol.send({"type": "http.response.body", "body": part, "more_body": True})
        if not is_pending(awaited):
            return True
        done = threading.Event()
        awaited.add_done_callback(lambda _: done.set())
        if done.wait(self.seconds):
            return True
        awaited.cancel()
        return False

    def end_overdue(self) -> None:
        """Give up responses whose client has fetched nothing for too long; that closes their connection."""
        now = monotonic()
        for transfer in [*self.sending]:
            if transfer.due < now:
                transfer.end()


class Transfer:
    """One complete, large response."""

    __slots__ = ("transfers", "protocol", "response", "sent", "due", "awaited", "is_over", "lock")

    def __init__(self, transfers: Transfers, protocol: Exchange, response: Response) -> None:
        self.transfers = transfers
        self.protocol: Exchange | None = protocol
        self.response = response
        self.sent = 0
        self.awaited: Awaited | None = None
        self.is_over = False
        self.lock = threading.Lock()
        self.due = monotonic() + transfers.seconds

    def start(self) -> None:
        self.transfers.sending.add(self)
        status, headers, _ = self.response
        if self.protocol is not None:
            self.protocol.send({"type": "http.response.start", "status": status, "headers": headers})
        self.send_next()

    def send_next(self, previous: Awaited | None = None) -> None:
        """Send parts until one has to wait for the client; then this is called again."""
        self.awaited = None
        body = self.response.body
        while not self.is_over and (protocol := self.protocol) is not None:
            if self.sent >= len(body):
                protocol.send({"type": "http.response.body", "body": b"", "more_body": False})
                return self.end()
            part = body[self.sent : self.sent + LARGE]
            self.sent += len(part)
            self.due = monotonic() + self.transfers.seconds
            awaited = protocol.send({"type": "http.response.body", "body": part, "more_body": True})
            if is_pending(awaited):
                self.awaited = awaited
                awaited.add_done_callback(self.send_next)
                return None
        return None

    def end(self) -> None:
        with self.lock:
            if self.is_over:
                return
            self.is_over = True
        awaited = self.awaited
        if awaited is not None:
            awaited.cancel()
        self.transfers.sending.discard(self)
        self.transfers.budget.give_back(len(self.response.body))
        self.protocol = None  # without it the connection has nothing to wait for


def is_pending(awaited: object) -> TypeGuard[Awaited]:
    """Whether granian's buffer is full, so that the part waits for the client."""
    return hasattr(awaited, "add_done_callback")


def joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces to parts that are worth a callback."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= LARGE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
