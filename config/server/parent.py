"""The server process: it starts the workers, replaces those that end or hang, and never gives up."""

import logging
import os
import threading
import time
from typing import Any

from granian.server.mp import MPServer, WorkerProcess

from config.server.background import BackgroundWorkers
from config.server.heartbeats import Heartbeats
from config.server.listening import listen
from config.server.places import LOADING, Place
from config.server.worker import LEAVE, LEAVING

PAUSE = 0.5  # seconds between two looks at the workers
BETWEEN_BEATS = 0.02  # seconds; a worker and its successor beat in turn

logger = logging.getLogger("_granian")


class WatchedWorker(WorkerProcess):
    """A worker process that one thread collects when it has ended; all others ask this thread.

    With granian's own, whoever waits for the end collects it too. The kernel tells only one of them, and the
    other takes the worker for alive a moment longer: it warned of killing what had ended in good order.
    """

    def _watch(self) -> None:
        self.watcher = threading.Thread(target=self._watcher)
        self.watcher.start()

    def is_alive(self) -> bool:
        return self.watcher.is_alive()

    def join(self, timeout: float | None = None) -> None:
        self.watcher.join(timeout)


class Parent(MPServer):
    """granian's server process, with heartbeats and a growing delay before a failing worker is started again.

    granian's own ends the service when one worker fails twice within 5.5 seconds, and never notices one that
    hangs. This one ends only when no worker was ever able to serve.
    """

    def __init__(self, *arguments: Any, background_workers: int = 0, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.heartbeats = Heartbeats(self.workers)
        self.background = BackgroundWorkers(background_workers)
        self.places = [Place() for _ in range(self.workers)]
        self.leaving: dict[WorkerProcess, float] = {}  # former workers -> until when they may take
        self.has_served = False
        self.looked_at = time.monotonic()

    def _init_shared_socket(self) -> None:
        """Listen once for all workers, where granian has each of them listen for itself."""
        self._shd, self._sso = listen(self.bind_addr, self.bind_port, self.backlog)

    def _spawn_worker(self, *arguments: object, **named: object) -> WorkerProcess:
        worker = super()._spawn_worker(*arguments, **named)
        worker.__class__ = WatchedWorker  # granian has no place to name another class
        return worker

    def _serve_loop(self, spawn_target: object, target_loader: object) -> None:
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(PAUSE)
            self.main_loop_interrupt.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)
                self.background.restart(float(self.workers_kill_timeout or 0))
            now = time.monotonic()
            was_late = now - self.looked_at > 2 * PAUSE + 1
            self.looked_at = now
            self._kill_hung_workers(now, was_late=was_late)
            self._kill_late_leavers(now)
            self.background.look_after(now, was_late=was_late)
            if not self._plan_restarts(now):
                return
            for number, place in enumerate(self.places):
                if place.restart_at is not None and place.restart_at <= now and not self.interrupt_signal:
                    place.restart_at = place.last_beat = None
                    self._respawn_workers([number], spawn_target, target_loader)

    def _reload(self, spawn_target: object, target_loader: object) -> None:
        """Replace the workers one by one, each when its successor serves.

        granian's own gives a successor 3.5 seconds, too few on a busy machine. One that cannot start,
        as with broken code or settings, leaves its predecessor and all others where they are.
        """
        self.reload_signal = False
        self.respawned_wrks.clear()
        for number in range(self.workers):
            former = self.wrks[number]
            successor = self._spawn_worker(idx=number, target=spawn_target, callback_loader=target_loader)
            successor.start()
            if not self._serves(number, successor):
                successor.kill()
                logger.error(f"worker-{number + 1} cannot start anew; the former workers go on")
                return
            self.wrks[number] = successor
            self.places[number] = Place()
            self._ask_to_leave(former)

    def _ask_to_leave(self, former: WorkerProcess) -> None:
        """Let a worker finish the requests that it has accepted, while its successor serves."""
        former.interrupt_by_parent = True
        if former.is_alive():
            os.kill(former.inner.pid, LEAVE)
            self.leaving[former] = time.monotonic() + LEAVING + float(self.workers_kill_timeout or 0)

    def _kill_late_leavers(self, now: float) -> None:
        for former, due in list(self.leaving.items()):
            if not former.is_alive():
                del self.leaving[former]
            elif due < now:
                logger.warning(f"Killing the former worker-{former.idx + 1} after it refused to stop")
                former.kill()

    def _serves(self, number: int, worker: WorkerProcess) -> bool:
        """Wait until the new worker beats; False when it ends, or takes longer than a worker may."""
        while worker.is_alive() and time.monotonic() - worker.birth < LOADING and not self.interrupt_signal:
            if self.heartbeats.last(number, worker.inner.pid) is not None:
                return True
            time.sleep(BETWEEN_BEATS)
        return False

    def _stop_workers(self) -> None:
        """Stop all workers at the same time; those in the background lose nothing when they are killed."""
        self.background.ask_to_stop()
        self.wrks += self.leaving
        super()._stop_workers()
        self.background.wait_for_end(float(self.workers_kill_timeout or 0))

    def _kill_hung_workers(self, now: float, *, was_late: bool) -> None:
        for number, (worker, place) in enumerate(zip(self.wrks, self.places, strict=True)):
            if place.restart_at is not None:
                continue
            beat = self.heartbeats.last(number, worker.inner.pid)
            if beat is not None:
                self.has_served = True
            if place.is_hung(beat, started_at=worker.birth, now=now, was_late=was_late):
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
            if delay := place.plan_restart(started_at=worker.birth, now=now):
                logger.error(f"worker-{number + 1} ended early; it is started again in {delay:.0f} s")
        return True

    @staticmethod
    def _is_another(worker: WorkerProcess) -> bool:
        """Whether the place has a living process by now, so that the report is about a former one."""
        return worker.is_alive() and not worker.interrupt_by_parent
