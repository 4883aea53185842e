"""HTTP requests to targets: bounded in time and size, to a checked address, without following redirects."""

import email.utils
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from core.paced_threads import PacedThread
from events.sending.addresses import Destination, UnsafeDestination, resolve

TIMEOUT = 15.0  # seconds for everything
PROBE_TIMEOUT = 5.0
PAUSE = 0.1  # seconds between two looks for requests that are late
LARGEST_ANSWER = 65_536  # bytes that are read
EXCERPT = 500  # characters that are kept
IDLE = 20.0  # seconds for which a connection is kept
MOST_IDLE = 16  # connections to one place
MOST_PLACES = 200
USER_AGENT = "customer-segments-webhooks/1"
NO_ANSWER = (HTTPError, OSError, ssl.SSLError, ValueError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target answered: a status, or None and the error that prevented an answer."""

    status: int | None
    excerpt: str = ""
    error: str = ""
    retry_after: timedelta | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Deadlines:
    """Ends requests that take too long, also those that answer byte by byte: it shuts their connection."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[float, Any]] = {}
        self._expired: set[int] = set()
        self._next = 0
        self._lock = threading.Lock()
        self._thread: PacedThread | None = None

    def watch(self, connection: HTTPConnection, seconds: float) -> int:
        with self._lock:
            self._next += 1
            self._open[self._next] = (time.monotonic() + seconds, connection)
            if self._thread is None or not self._thread.is_alive():
                self._thread = PacedThread(self._end_late, seconds=PAUSE, name="webhook deadlines")
                self._thread.start()
            return self._next

    def release(self, token: int) -> bool:
        """Stop watching; return whether the request was ended."""
        with self._lock:
            self._open.pop(token, None)
            is_expired = token in self._expired
            self._expired.discard(token)
            return is_expired

    def _end_late(self) -> None:
        now = time.monotonic()
        with self._lock:
            late = [(token, held[1]) for token, held in self._open.items() if held[0] < now]
            for token, _ in late:
                del self._open[token]
                self._expired.add(token)
        for _, connection in late:
            shut(connection)


def shut(connection: HTTPConnection) -> None:
    """End what another thread does with the connection."""
    if connection.sock is not None:
        try:
            connection.sock.shutdown(2)
        except OSError:
            connection.sock.close()


class Connections:
    """Open connections that are used again, by where they lead."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, int, str], list[tuple[float, HTTPConnection]]] = {}
        self._lock = threading.Lock()

    def take(self, destination: Destination) -> HTTPConnection | None:
        """Return a connection that was used before and is still open, as far as is known."""
        now = time.monotonic()
        with self._lock:
            kept = self._idle.get(key_of(destination), [])
            while kept:
                since, connection = kept.pop()
                if since + IDLE > now:
                    return connection
                connection.close()
        return None

    def give_back(self, destination: Destination, connection: HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) >= MOST_PLACES and key_of(destination) not in self._idle:
                self._close_all()
            kept = self._idle.setdefault(key_of(destination), [])
            if len(kept) < MOST_IDLE:
                kept.append((time.monotonic(), connection))
                return
        connection.close()

    def _close_all(self) -> None:
        for kept in self._idle.values():
            for _, connection in kept:
                connection.close()
        self._idle.clear()


def key_of(destination: Destination) -> tuple[str, str, int, str]:
    return destination.scheme, destination.host, destination.port, destination.ip


def new_connection(destination: Destination, timeout: float) -> HTTPConnection:
    """Return a connection to the checked address; the certificate must be that of the host's name."""
    if destination.scheme == "http":
        return HTTPConnection(destination.ip, destination.port, timeout=timeout)
    return HTTPSConnection(
        destination.ip,
        destination.port,
        timeout=timeout,
        ssl_context=ssl.create_default_context(),
        server_hostname=destination.host,
        assert_hostname=destination.host,
        cert_reqs="CERT_REQUIRED",
    )


_deadlines = Deadlines()
_connections = Connections()


def send(
    method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str], timeout: float | None = None
) -> Answer:
    """Send a request and return the answer; whatever goes wrong, it says so and does not raise."""
    begin = time.monotonic()
    timeout = timeout or TIMEOUT
    try:
        destination = resolve(url)
    except UnsafeDestination as refused:
        return Answer(None, error=refused.message)
    headers = {"User-Agent": USER_AGENT, **headers, "Host": destination.authority}
    used = _connections.take(destination)
    if used is not None:
        try:
            return exchange(used, destination, method, body, headers, timeout)
        except NO_ANSWER:
            used.close()  # the target had closed it meanwhile; the receiver knows events that come twice
    connection = new_connection(destination, timeout)
    left = max(timeout - (time.monotonic() - begin), 0.1)
    try:
        return exchange(connection, destination, method, body, headers, left)
    except NO_ANSWER as error:
        connection.close()
        return Answer(None, error=reason_of(error, time.monotonic() - begin, timeout))


def exchange(
    connection: HTTPConnection,
    destination: Destination,
    method: str,
    body: bytes,
    headers: Mapping[str, str],
    timeout: float,
) -> Answer:
    token = _deadlines.watch(connection, timeout)
    is_expired = False
    try:
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        connection.request(
            method, destination.path, body=body or None, headers=headers, preload_content=False
        )
        response = connection.getresponse()
        text = b"" if method == "HEAD" else response.read(LARGEST_ANSWER, decode_content=False)
        is_whole = method == "HEAD" or response.read(1, decode_content=False) == b""
    finally:
        is_expired = _deadlines.release(token)
    if is_expired:
        raise TimeoutError
    if is_whole and response.headers.get("Connection", "").lower() != "close":
        _connections.give_back(destination, connection)
    else:
        connection.close()
    return answer_of(response.status, response.headers, text)


def answer_of(status: int, headers: Mapping[str, str], text: bytes) -> Answer:
    excerpt = "".join(
        character if character.isprintable() else " "
        for character in text[: 4 * EXCERPT].decode(errors="replace")
    )[:EXCERPT]
    error = ""
    if 300 <= status < 400:
        error = "The target answered with a redirect, which is not followed. Configure the final address."
    elif not 200 <= status < 300:
        error = f"The target answered {status}."
    return Answer(status, excerpt, error, retry_after_of(headers.get("Retry-After", "")))


def retry_after_of(header: str) -> timedelta | None:
    """Return how long a target wants no request, which it says in seconds or as a date."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return timedelta(seconds=min(int(header[:9]), 86_400))
    try:
        until = email.utils.parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # the latter for numbers of any length
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(until - datetime.now(UTC), timedelta()), timedelta(days=1))


def reason_of(error: BaseException, seconds: float, timeout: float) -> str:
    if isinstance(error, TimeoutError) or seconds >= timeout:
        return f"The target did not answer within {timeout:g} s."
    name = type(error).__name__
    return f"The target could not be reached: {name}: {error}"[:EXCERPT]


def is_accessible(url: str) -> bool:
    """Say whether the target answers HEAD or OPTIONS with success, as it must to be configured."""
    return any(
        send(method, url, headers={}, timeout=PROBE_TIMEOUT).is_success for method in ("HEAD", "OPTIONS")
    )
