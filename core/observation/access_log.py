"""The access log: one line for each request, written in batches by a thread of its own.

To format and write a line while a client waits would take longer than all else that observing a request does.
A process that is killed loses the lines of its last moments; one that ends writes them.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple, TextIO

import orjson

from core.observation.metrics import counter
from core.paced_threads import PacedThread

MOST_WAITING = 20_000  # lines; beyond that standard error is stuck, and lines are dropped
PAUSE = 0.1  # seconds between two batches
OPTIONAL = ("trace_id", "tenant", "client", "caller")  # fields that are left out when there is nothing to say

LINES_DROPPED = counter(
    "access_log_lines_dropped", "Lines of the access log that could not be written in time."
)


class AccessLine(NamedTuple):
    """What is logged of a request. There is no address in it, no header and no body."""

    at: float
    request_id: str
    trace_id: str
    method: str
    route: str
    status: int
    seconds: float
    waited: float
    statements: int
    tenant: str = ""
    client: str = ""
    caller: str = ""

    def as_json(self) -> str:
        fields = {
            "time": format_log_time(self.at),
            "level": "INFO",
            "logger": "access",
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "ms": round(self.seconds * 1_000, 2),
            "waited_ms": round(self.waited * 1_000, 2),
            "statements": self.statements,
            "tenant": self.tenant,
            "client": self.client,
            "caller": self.caller,
        }
        for name in OPTIONAL:
            if not fields[name]:
                del fields[name]
        return orjson.dumps(fields).decode()

    def as_text(self) -> str:
        who = " ".join(filter(None, [self.tenant, self.caller, self.client]))
        return (
            f"{format_log_time(self.at)} INFO access: {self.method} {self.route} {self.status}"
            f" {self.seconds * 1_000:.1f} ms, {self.statements} statements, id {self.request_id}"
            f"{f', {who}' if who else ''}"
        )


def format_log_time(at: float) -> str:
    """Return the time as all log lines have it: UTC, in milliseconds."""
    second = int(at)
    return f"{_format_second(second)}.{int((at - second) * 1_000):03d}Z"


@lru_cache(maxsize=8)
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class AccessLog:
    """The lines that wait to be written. Without `start` each line is written at once."""

    def __init__(self, stream: Callable[[], TextIO] = lambda: sys.stderr) -> None:
        self.stream = stream
        self.waiting: deque[AccessLine] = deque()
        self.format: Callable[[AccessLine], str] = AccessLine.as_text
        self.is_started = False
        self.lock = threading.Lock()  # of the stream

    def start(self) -> None:
        """Write from a thread of its own from now on; `flush` before the process ends."""
        self.is_started = True
        PacedThread(self.flush, seconds=PAUSE, name="access log").start()

    def add(self, line: AccessLine) -> None:
        if len(self.waiting) >= MOST_WAITING:
            LINES_DROPPED.inc()
            return
        self.waiting.append(line)
        if not self.is_started:
            self.flush()

    def flush(self) -> None:
        """Write all lines that wait."""
        with self.lock:
            if count := len(self.waiting):
                lines = [self.format(self.waiting.popleft()) for _ in range(count)]
                stream = self.stream()
                stream.write("\n".join(lines) + "\n")
                stream.flush()


access_log = AccessLog()
