"""A worker process: granian's ASGI worker without asyncio.

granian receives, parses and sends in threads of its own, written in Rust. In Python it calls a function for
each request and callbacks when something has arrived, all on one thread. No event loop is needed for that.

The private names of granian that are used here and in `parent` are those of the pinned version;
tests/config/test_server.py fails when an upgrade breaks them.
"""

import gc
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from granian._granian import ASGIWorker, CallbackScheduler
from granian._signals import set_sync_signals
from granian.server.common import WORKERS_METHODS
from granian.server.mp import WorkerProcess

from config.environment import Environment
from config.server.front import Front
from config.server.gauges import measure
from config.server.heartbeats import Heartbeats
from config.server.limits import Limits
from config.server.listening import accept_no_more
from config.server.replicas import Watch, configure_replicas
from core.actors import act_as_command
from core.background.buffers import FLUSH_EVERY, flush_buffers
from core.observation.access_log import access_log
from core.paced_threads import PacedThread
from core.sql.replicas import replicas
from core.tenancy.rate_limits import rate_limits

PAUSE = 0.1  # seconds between two looks at what may be overdue
BETWEEN_MEASUREMENTS = 1.0  # seconds
LEAVE = signal.SIGUSR1  # asks a worker to end that has a successor: it finishes what it has accepted
LEAVING = 25.0  # seconds that it may take for that: as long as a body may, and some more
ACCEPTED = 0.5  # seconds that a client whose connection was just accepted has to send its request
LINGERING = 2.0  # seconds for the last responses to be sent, when the process is to end
COLLECTED_AFTER = 3_000  # objects; requests of the API leave none, a page of the admin some thousand
APPLICATION = "config.wsgi.application"


class CallbackLoop:
    """What granian takes for an event loop: it calls back at once, on the thread that has the result."""

    def call_soon(self, callback: Callable[..., object], *arguments: object, context: object = None) -> None:
        callback(*arguments)

    call_soon_threadsafe = call_soon


class FrontScheduler(CallbackScheduler):
    """Has granian call the front for each request, where it would else create a task."""

    def __new__(cls, front: object, loop: CallbackLoop) -> "FrontScheduler":
        return super().__new__(cls, loop, front, None, _nothing, _nothing)  # type: ignore[call-arg]

    def __init__(self, front: object, loop: CallbackLoop) -> None:
        self._schedule_fn = front


def _nothing(*arguments: object) -> None:
    """For the hooks of asyncio's tasks."""


def load_front(parent: int, heartbeats: Heartbeats, limits: Limits) -> tuple[object, Heartbeats]:
    """Return the front with Django loaded, in a worker that will not outlive the server process `parent`.

    Nearly all that is loaded stays. Python would look through it for garbage again and again while it
    grows, a quarter of the time that loading takes, and later during requests.
    """
    act_as_command("serve")  # outside of requests
    end_with(parent)
    gc.disable()
    respond = import_string(APPLICATION).respond
    front = Front(respond, limits, longest_body=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    access_log.start()
    configure_replicas(settings.REPLICA_MAX_LAG)
    if replicas.all:
        Watch().start()
    processes = Environment(os.environ).number("WEB_WORKERS", default=1, least=1)
    rate_limits.configure(settings.TENANT_REQUESTS_PER_SECOND, processes=processes)
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER)
    gc.enable()
    return front, heartbeats


def end_with(parent: int) -> None:
    """End this process once its parent is gone: kill -9 leaves no time to tell it, and it would serve on.

    At once, as granian cannot shut down in good order without its parent; the database rolls back.
    """

    def look_for_parent() -> None:
        if os.getppid() != parent:
            os._exit(1)

    PacedThread(look_for_parent, seconds=2 * PAUSE, name="look for parent").start()


class Departure:
    """How a worker ends.

    First it accepts no connection any more, and its responses close those that it has: a client that was
    accepted a moment ago is still answered. When nothing has come for a while, or the time is up, bodies are
    refused that have not arrived, and granian ends.
    """

    def __init__(self, front: Front, end_granian: Callable[[], None], *, shares_socket: bool) -> None:
        self.front = front
        self.end_granian = end_granian
        self.shares_socket = shares_socket  # one of its own would reset what waits at it
        self.due: float | None = None  # when bodies that have not arrived are refused
        self.has_successor = False  # which gives the heartbeats by now

    def plan(self, seconds: float, *, has_successor: bool = False) -> None:
        """Begin to leave; called by a signal. A later one may shorten the time."""
        self.has_successor |= has_successor
        due = time.monotonic() + seconds
        self.due = due if self.due is None else min(self.due, due)

    def wait_for_end(self, ended: threading.Event) -> None:
        """Return when granian has ended, or end the process when only silent connections keep it from that.

        granian waits for every open connection, so also for those that began a header and for those that
        fetch their response slowly.
        """
        front = self.front
        quiet_since = time.monotonic()
        while not ended.wait(PAUSE):
            now = time.monotonic()
            if self.due is None or not front.is_idle:
                quiet_since = now
            if self.due is None:
                continue
            if not front.is_stopping:
                self._leave()
                if self.due < now or now - quiet_since > ACCEPTED:
                    front.stop()
                    self.end_granian()
                    quiet_since = now
            elif now - quiet_since > LINGERING:
                access_log.flush()
                os._exit(0)

    def _leave(self) -> None:
        self.front.leave()
        if self.shares_socket:
            accept_no_more()


@WorkerProcess.wrap_target
def run_worker(
    worker_id: int,
    loaded: tuple[Front, Heartbeats],
    sock: Any,
    ipc: object,
    loop: object,
    runtime_mode: Any,
    runtime_threads: int,
    runtime_blocking_threads: int,
    blocking_threads: int,
    blocking_threads_idle_timeout: int,
    backpressure: int,
    task_impl: object,
    http_mode: object,
    http1_settings: object,
    http2_settings: Any,
    websockets: bool,
    static_path: Any,
    log_access_format: Any,
    ssl_context: tuple[object, ...],
    scope_options: dict[str, object],
    metrics: Any,
) -> None:
    """Serve until a signal comes, then end after the requests at work. granian chose the parameters."""
    front, heartbeats = loaded
    ended = threading.Event()
    shutdown = set_sync_signals()
    shutdown.add_cb(ended.set)

    departure = Departure(front, shutdown.set, shares_socket=sock[1] is not None)
    # before the first request is taken: granian's own handlers would leave the front waiting for bodies
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: departure.plan(ACCEPTED))
    signal.signal(LEAVE, lambda *_: departure.plan(LEAVING, has_successor=True))
    worker_class: Any = ASGIWorker  # its type stub is older than the class
    worker = worker_class(
        worker_id,
        sock,
        ipc,
        runtime_threads,
        runtime_blocking_threads,
        front.limits.granian_threads,
        blocking_threads_idle_timeout,
        backpressure,
        http_mode,
        http1_settings,
        http2_settings,
        websockets,
        static_path,
        *ssl_context,
        metrics,
    )
    callback_loop = CallbackLoop()
    serve = getattr(worker, WORKERS_METHODS[runtime_mode][(sock[0] or sock[1]).is_uds()])
    serve(FrontScheduler(front, callback_loop), callback_loop, shutdown)
    _look_after(front, heartbeats, worker_id - 1, departure)
    flushing = PacedThread(flush_buffers, seconds=FLUSH_EVERY, name="buffers")
    flushing.start()
    departure.wait_for_end(ended)
    flushing.finish(LINGERING)
    access_log.flush()


def _look_after(front: Front, heartbeats: Heartbeats, place: int, departure: Departure) -> None:
    """Beat while the worker can do its work, from a thread of its own, and measure the front."""
    pid = os.getpid()

    def beat() -> None:
        if front.look_after() and not departure.has_successor:
            heartbeats.beat(place, pid)

    PacedThread(beat, seconds=PAUSE, name="heartbeat").start()
    PacedThread(partial(measure, front), seconds=BETWEEN_MEASUREMENTS, name="gauges").start()
