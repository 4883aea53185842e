"""Lanes: how many requests of one kind are worked on at a time, so that one kind never waits for another.

granian calls us on threads of its own. Such a thread works on the request itself while its lane has a free
slot: to pass the request to another thread would cost a fifth of a small one. One of granian's threads is
always left free, to take requests and to answer probes; what finds no other free is left to helpers, which
are threads of the lane. A request that finds no slot waits, and is taken by the next thread of its lane that
has finished.
"""

import threading
from collections import deque
from collections.abc import Callable
from threading import get_ident
from time import monotonic
from typing import TypedDict, Unpack

from config.server.responses import Exchange

SLOW_AFTER = 0.25  # seconds at work after which a thread's slot goes to a helper
LINGERING = 10.0  # seconds that a helper waits for work
STALLED_AFTER = 1.0  # seconds at work of all threads after which waiting requests are refused when overdue
HUNG_AFTER = 60.0  # seconds in which no thread of a lane without free threads finished anything


class Job:
    """A complete request that waits for a slot, or is being answered."""

    __slots__ = ("environ", "protocol", "body_size", "due", "resources")

    def __init__(
        self,
        environ: dict[str, object],
        protocol: Exchange,
        body_size: int,
        due: float,
        resources: tuple[str, ...] = (),
    ) -> None:
        self.environ = environ
        self.protocol = protocol
        self.body_size = body_size
        self.due = due
        self.resources = resources


class GranianThreads:
    """How many of granian's threads may be used for work, and the lock that all lanes share."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.lock = threading.Lock()


class LaneOptions(TypedDict):
    """What every lane is made with."""

    granian: GranianThreads
    threads: int
    most_threads: int
    waiting: int


class Lane:
    """Has at most `threads` jobs worked on at a time.

    A thread that is slow, as it waits for a lock or a slow statement, does not count: helpers take the
    next jobs, until there are `most_threads`.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Job], None],
        refuse: Callable[[Job], None],
        *,
        granian: GranianThreads,
        threads: int,
        most_threads: int,
        waiting: int,
    ) -> None:
        self.name = name
        self.work = work
        self.refuse = refuse
        self.granian = granian
        self.threads = threads
        self.most_threads = most_threads
        self.waiting = waiting
        self.queue: deque[Job] = deque()
        self.at_work: dict[int, float] = {}  # thread -> since when
        self.slow: set[int] = set()
        self.helpers = 0
        self.idle_helpers = 0
        self.lock = granian.lock
        self.new_job = threading.Condition(self.lock)

    def take(self, job: Job) -> bool:
        """Do the job now, or put it into the queue; False when too many wait already.

        Called by one of granian's threads.
        """
        granian = self.granian
        with self.lock:
            if granian.free and len(self.at_work) < self.threads and self._fits(job):
                granian.free -= 1
                self.at_work[get_ident()] = monotonic()
                self._begin(job)
            elif len(self.queue) < self.waiting:
                self.queue.append(job)
                self._call_helper()
                return True
            else:
                return False
        self._work_through(job)
        with self.lock:
            granian.free += 1
        return True

    @property
    def is_idle(self) -> bool:
        return not self.at_work and not self.queue

    def look_after(self) -> bool:
        """Start helpers for slow threads, and refuse what waits too long.

        Called some times a second. False when all threads are stuck for so long that only another process
        helps.
        """
        if not self.at_work:
            return True
        now = monotonic()
        overdue: list[Job] = []
        with self.lock:
            since = list(self.at_work.items())
            self.slow.update(thread for thread, start in since if now - start > SLOW_AFTER)
            self._call_helper()
            latest = max((start for _, start in since), default=now)
            if now - latest > STALLED_AFTER:
                overdue = [job for job in self.queue if job.due < now]
                self.queue = deque(job for job in self.queue if job.due >= now)
        for job in overdue:
            self.refuse(job)
        return len(since) < self.most_threads or now - latest < HUNG_AFTER

    @property
    def _has_slot(self) -> bool:
        return len(self.at_work) - len(self.slow) < self.threads

    def _call_helper(self) -> None:
        """Have a helper look for work when there is a slot for it."""
        if self.queue and self._has_slot:
            if self.idle_helpers:
                self.new_job.notify()
            elif len(self.at_work) < self.most_threads > self.helpers:
                self.helpers += 1
                threading.Thread(target=self._help, name=self.name, daemon=True).start()

    def _work_through(self, job: Job | None) -> None:
        """Do the job that was begun, then those that wait."""
        me = get_ident()
        at_work = self.at_work
        while job is not None:
            if job.due < at_work[me]:
                self.refuse(job)
            else:
                self.work(job)
            with self.lock:
                self._end(job)
                del at_work[me]
                self.slow.discard(me)
                job = self._next() if self.queue and self._has_slot else None
                if job is not None:
                    at_work[me] = monotonic()

    def _help(self) -> None:
        """Work while there is a slot; end when there was nothing to do for some time."""
        while True:
            with self.lock:
                job = self._next() if self._has_slot else None
                if job is not None:
                    self.at_work[get_ident()] = monotonic()
                else:
                    self.idle_helpers += 1
                    is_called = self.new_job.wait(LINGERING)
                    self.idle_helpers -= 1
                    if not is_called:
                        self.helpers -= 1
                        return
            self._work_through(job)

    def _next(self) -> Job | None:
        """Return the next job, begun; None when none may be begun."""
        for place, job in enumerate(self.queue):
            if self._fits(job):
                del self.queue[place]
                self._begin(job)
                return job
        return None

    def _fits(self, job: Job) -> bool:
        return True

    def _begin(self, job: Job) -> None:
        """Count the job as one at work."""

    def _end(self, job: Job) -> None:
        """Count the job no longer."""


class WriteLane(Lane):
    """A lane in which no resource may hold all threads.

    Writes of one resource wait for each other's locks: without a bound, those that wait for one locked
    coupon would leave no thread for the writes of other coupons. A job names its resource and the
    collection of that resource. Of a resource at most half of the threads are at work, of a collection all
    but two.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Job], None],
        refuse: Callable[[Job], None],
        **options: Unpack[LaneOptions],
    ) -> None:
        super().__init__(name, work, refuse, **options)
        self.counts: dict[str, int] = {}  # resource or collection -> jobs at work
        self.most_of_resource = self.most_threads // 2
        self.most_of_collection = self.most_threads - 2

    def _fits(self, job: Job) -> bool:
        resource, collection = job.resources
        count = self.counts.get
        return count(resource, 0) < self.most_of_resource and count(collection, 0) < self.most_of_collection

    def _begin(self, job: Job) -> None:
        counts = self.counts
        for name in job.resources:
            counts[name] = counts.get(name, 0) + 1

    def _end(self, job: Job) -> None:
        counts = self.counts
        for name in job.resources:
            if (left := counts[name] - 1) == 0:
                del counts[name]
            else:
                counts[name] = left


def resources_of(path: str) -> tuple[str, str]:
    """Return the resource whose locks a write of this address may wait for, and its collection.

    `/coupon/acme/coupons/GOLD10/redemptions` -> `/coupon/acme/coupons/GOLD10`, `/coupon/acme/coupons`; so it
    is with all services and with the admin's `/admin/coupons/coupon/5/change/`. The collection's own address
    counts as one of its resources.
    """
    parts = path.split("/", 5)
    collection = "/".join(parts[:4])
    return (f"{collection}/{parts[4]}" if len(parts) > 4 else f"{collection}/"), collection
