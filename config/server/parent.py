"""The server process: it starts the workers, replaces those that end or hang, and never gives up."""

import logging
import time
from dataclasses import dataclass
from typing import Any

from granian.server.mp import MPServer, WorkerProcess

from config.server.heartbeats import Heartbeats

PAUSE = 0.5  # seconds between two looks at the workers
HUNG_AFTER = 6.0  # seconds without a heartbeat
LOADING = 60.0  # seconds that a new worker may take until its first heartbeat
DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before a worker that ended early is started again
STEADY_AFTER = 60.0  # seconds after which the end of a worker counts as its first

logger = logging.getLogger("_granian")


@dataclass
class Place:
    """One of the workers that there are to be, whichever process it is at the moment."""

    ends: int = 0  # in a row, early
    restart_at: float | None = None  # set while no process serves here
    last_beat: float | None = None  # of the present process


class Parent(MPServer):
    """granian's server process, with heartbeats and a growing delay before a failing worker is started again.

    granian's own ends the service when one worker fails twice within 5.5 seconds, and never notices one that
    hangs. This one ends only when no worker was ever able to serve.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.heartbeats = Heartbeats(self.workers)
        self.places = [Place() for _ in range(self.workers)]
        self.has_served = False
        self.looked_at = time.monotonic()

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(PAUSE)
            self.main_loop_interrupt.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)
                self.places = [Place() for _ in range(self.workers)]  # all workers are new
            now = time.monotonic()
            self._kill_hung_workers(now)
            if not self._plan_restarts(now):
                return
            for number, place in enumerate(self.places):
                if place.restart_at is not None and place.restart_at <= now and not self.interrupt_signal:
                    place.restart_at = place.last_beat = None
                    self._respawn_workers([number], spawn_target, target_loader)

    def _kill_hung_workers(self, now: float) -> None:
        was_late = now - self.looked_at > 2 * PAUSE + 1
        self.looked_at = now
        for number, (worker, place) in enumerate(zip(self.wrks, self.places, strict=True)):
            if place.restart_at is not None:
                continue
            beat = self.heartbeats.last(number, worker.inner.pid)
            if beat is not None:
                place.last_beat = beat
                self.has_served = True
            if was_late:  # the whole machine stood still: let the workers beat first
                place.last_beat = now if place.last_beat is not None else None
            since, limit = (
                (worker.birth, LOADING) if place.last_beat is None else (place.last_beat, HUNG_AFTER)
            )
            if now - since > limit:
                logger.error(f"worker-{number + 1} does not answer; it is replaced")
                # kill marks the end as meant; _respawn_workers would first wait for the process to end itself
                worker.kill()
                self.interrupt_children.append(number)

    def _plan_restarts(self, now: float) -> bool:
        """Give each worker that has ended its time to start again; False when none could ever serve."""
        while self.interrupt_children:
            number = self.interrupt_children.pop()
            worker, place = self.wrks[number], self.places[number]
            if place.restart_at is not None or self._is_another(worker):
                continue
            if not self.has_served:
                logger.error("No worker could start.")
                self.interrupt_children.append(number)  # so that granian ends with an error
                return False
            if now - worker.birth > STEADY_AFTER:
                place.ends = 0
            delay = DELAYS[min(place.ends, len(DELAYS) - 1)]
            place.ends += 1
            place.restart_at = now + delay
            if delay:
                logger.error(f"worker-{number + 1} ended early; it is started again in {delay:.0f} s")
        return True

    @staticmethod
    def _is_another(worker: WorkerProcess) -> bool:
        """Whether the place has a living process by now, so that the report is about a former one."""
        return worker.is_alive() and not worker.interrupt_by_parent
