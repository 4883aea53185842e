"""What runs between granian and Django: complete requests, deadlines and bounds; threads only for work.

granian calls `Front` on a thread of its own. A request without a body goes to a lane at once, one with a body
when the whole body has arrived; `/healthz` is answered on the spot. Only a lane lets a thread work or wait.
"""

import logging
from collections.abc import Callable
from io import BytesIO
from time import monotonic, perf_counter
from typing import Any
from wsgiref.types import WSGIEnvironment

from django.http import HttpResponse, StreamingHttpResponse

from config.server.bodies import BodyCollector
from config.server.budget import ByteBudget
from config.server.lanes import GranianThreads, Job, Lane, LaneOptions, WriteLane, resources_of
from config.server.limits import Limits
from config.server.refusals import refuse
from config.server.responses import (
    BUSY,
    CLOSE,
    FAILED,
    HEALTHY,
    HEALTHY_AND_LEAVING,
    NOT_READY,
    Exchange,
    Response,
    encoded_headers,
    send,
)
from config.server.transfers import Transfers
from config.server.wsgi_environ import environ_of
from core.memory import LARGE_BODY, trim_soon
from core.observation.requests import ARRIVED_AT

Respond = Callable[[dict[str, object]], HttpResponse | StreamingHttpResponse]

HEALTH = ("/healthz", "/healthz/")
# What the lane of probes answers, and after how many seconds a 503 takes the response's place.
PROBES = {"/readyz": 2.0, "/readyz/": 2.0, "/metrics": 10.0, "/metrics/": 10.0}
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
READING_POSTS = ("/search", "/validation", "/match")  # ends of addresses; they only read

logger = logging.getLogger("django.request")


class Front:
    """Takes the requests of a worker from granian and has them answered."""

    def __init__(self, respond: Respond, limits: Limits, *, longest_body: int) -> None:
        self.respond = respond
        self.limits = limits
        granian = GranianThreads(limits.granian_threads - 1)
        lane = LaneOptions(
            granian=granian,
            threads=limits.threads,
            most_threads=limits.most_threads,
            waiting=limits.waiting,
        )
        self.reads = Lane("reads", self._answer, self._refuse, **lane)
        self.writes = WriteLane("writes", self._answer, self._refuse, **lane)
        self.probes = Lane(
            "probes", self._answer_probe, self._refuse, granian=granian, threads=1, most_threads=2, waiting=16
        )
        self.unanswered_probes: dict[Exchange, float] = {}  # protocol -> deadline
        self.is_leaving = False
        self.body_budget = ByteBudget(limits.bodies_bytes)
        self.bodies = BodyCollector(
            self._take_complete,
            kept=longest_body,
            longest=limits.body_bytes,
            budget=self.body_budget,
            seconds=limits.body_seconds,
        )
        self.transfers = Transfers(budget=ByteBudget(limits.responses_bytes), seconds=limits.send_seconds)

    def __call__(self, watcher: Any) -> None:
        """Take a request from granian. Never raises: granian could not tell what to do."""
        protocol = watcher.proto
        try:
            scope = watcher.scope
            environ = environ_of(scope)
            environ[ARRIVED_AT] = perf_counter()
            if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
                self.bodies.collect(environ, protocol)
            else:
                self._take_complete(environ, protocol, b"", 0)
        except Exception:
            logger.exception("A request failed before it reached Django.")
            send(protocol, FAILED)

    def leave(self) -> None:
        """Close each connection with its next response: the process is to end."""
        self.is_leaving = True

    def stop(self) -> None:
        """Wait for no further bodies: the process is to end after the requests that it has."""
        self.bodies.is_stopping = True

    @property
    def is_stopping(self) -> bool:
        return self.bodies.is_stopping

    @property
    def is_idle(self) -> bool:
        """Whether no request is being received, answered or sent."""
        lanes = (self.reads, self.writes, self.probes)
        return (
            not self.bodies.receiving and not self.transfers.sending and all(lane.is_idle for lane in lanes)
        )

    def look_after(self) -> bool:
        """End what is overdue; called some times a second. False when only another process helps."""
        self.bodies.end_overdue()
        self.transfers.end_overdue()
        now = monotonic()
        for protocol, due in list(self.unanswered_probes.items()):
            if due < now:
                self._send_probe(protocol, NOT_READY)
        self.probes.look_after()
        reads_can_work = self.reads.look_after()
        return self.writes.look_after() and reads_can_work

    def _take_complete(
        self, environ: WSGIEnvironment, protocol: Exchange, body: bytes, body_size: int
    ) -> None:
        """Put a complete request into its lane, or refuse it."""
        path = environ["PATH_INFO"]
        if path in HEALTH:
            self.body_budget.give_back(body_size)
            return send(protocol, HEALTHY_AND_LEAVING if self.is_leaving else HEALTHY)
        environ["wsgi.input"] = BytesIO(body)
        due = monotonic() + self.limits.waiting_seconds
        lane: Lane
        method = environ["REQUEST_METHOD"]
        if method in READ_METHODS or (method == "POST" and path.endswith(READING_POSTS)):
            job = Job(environ, protocol, body_size, due)
            lane = self.reads
            if seconds := PROBES.get(path):
                lane = self.probes
                self.unanswered_probes[protocol] = monotonic() + seconds
        else:
            job = Job(environ, protocol, body_size, due, resources_of(path))
            lane = self.writes
        if not lane.take(job):
            self._refuse(job)
        return None

    def _answer(self, job: Job) -> None:
        """Have Django answer a request, on a thread of a lane."""
        protocol = job.protocol
        try:
            response = self._call_django(job.environ, protocol)
            if response is not None:
                self.transfers.send(protocol, response)
        except BaseException:  # a SystemExit in a view must not cost the lane a thread
            logger.exception("A request failed outside of Django.")
            _send_failure(protocol)
        if job.body_size:
            self.body_budget.give_back(job.body_size)
            if job.body_size > LARGE_BODY:
                trim_soon()

    def _answer_probe(self, job: Job) -> None:
        try:
            response = self._call_django(job.environ, job.protocol) or FAILED
        except BaseException:
            logger.exception("A probe failed outside of Django.")
            response = FAILED
        self._send_probe(job.protocol, response)

    def _send_probe(self, protocol: Exchange, response: Response) -> None:
        """Send the response unless one was sent: the lane and the deadline may come at the same time."""
        if self.unanswered_probes.pop(protocol, None) is not None:
            send(protocol, response)

    def _refuse(self, job: Job) -> None:
        self.body_budget.give_back(job.body_size)
        if job.protocol in self.unanswered_probes:
            self._send_probe(job.protocol, BUSY)
        else:
            refuse(job.environ, job.protocol, BUSY, "busy")

    def _call_django(self, environ: dict[str, object], protocol: Exchange) -> Response | None:
        """Return Django's response; None when it was sent piece by piece."""
        response = self.respond(environ)
        try:
            # past the mapping, whose lookups took as long as all else that is done with headers
            headers = encoded_headers(response.headers._store.values())
            headers += [
                (b"Set-Cookie", cookie.OutputString().encode()) for cookie in response.cookies.values()
            ]
            if self.is_leaving:
                headers.append(CLOSE)
            if isinstance(response, StreamingHttpResponse):
                self.transfers.send_stream(protocol, response.status_code, headers, response)
                return None
            return Response(response.status_code, headers, response.content)
        finally:
            response.close()


def _send_failure(protocol: Exchange) -> None:
    """Send a 500, unless a response was begun; the connection is closed then."""
    try:
        send(protocol, FAILED)
    except RuntimeError:
        logger.warning("The response could not be completed.")
