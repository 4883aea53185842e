"""Background workers as children of the server process, which watches them as it does the web workers."""

import logging
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess

from django.db import OperationalError

from config.command_line import CommandLine
from config.server.heartbeats import Heartbeats
from config.server.places import Place
from config.server.worker import PAUSE, end_with
from core.paced_threads import PacedThread

LESS_URGENT = 5  # added to the niceness: on a machine that is short of processors, requests go first

logger = logging.getLogger("_granian")


def run_background_worker(parent: int, heartbeats: Heartbeats, place: int) -> None:
    """Be `manage.py work`, in a process that does not outlive the server process `parent`."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.nice(LESS_URGENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server process, which then asks us
    end_with(parent)
    PacedThread(partial(heartbeats.beat, place, os.getpid()), seconds=PAUSE, name="heartbeat").start()
    try:
        CommandLine(["manage.py", "work"]).execute()
    except OperationalError as error:
        sys.exit(f"{error}")


@dataclass
class BackgroundPlace(Place):
    """One of the background workers that there are to be."""

    process: BaseProcess | None = None
    started_at: float = 0.0


class BackgroundWorkers:
    """Starts the background workers, replaces those that end or hang, and stops them."""

    def __init__(self, count: int) -> None:
        self.heartbeats = Heartbeats(count)
        self.places = [BackgroundPlace(restart_at=0.0) for _ in range(count)]

    def look_after(self, now: float, *, was_late: bool) -> None:
        """Start what is due to start; kill what hangs. `was_late`: the whole machine stood still."""
        for number, place in enumerate(self.places):
            if place.process is not None:
                self._look_at(number, place, place.process, now, was_late=was_late)
            if place.restart_at is not None and place.restart_at <= now:
                self._start(number, place, now)

    def _look_at(
        self, number: int, place: BackgroundPlace, process: BaseProcess, now: float, *, was_late: bool
    ) -> None:
        if process.is_alive():
            beat = self.heartbeats.last(number, process.pid or 0)
            if not place.is_hung(beat, started_at=place.started_at, now=now, was_late=was_late):
                return
            logger.error(f"background-worker-{number + 1} does not answer; it is replaced")
            process.kill()
            process.join()
        place.process = None
        if delay := place.plan_restart(started_at=place.started_at, now=now):
            logger.error(f"background-worker-{number + 1} ended early; it is started again in {delay:.0f} s")

    def _start(self, number: int, place: BackgroundPlace, now: float) -> None:
        place.restart_at = place.last_beat = None
        place.started_at = now
        place.process = multiprocessing.Process(
            target=run_background_worker, args=(os.getpid(), self.heartbeats, number)
        )
        place.process.start()

    def ask_to_stop(self) -> None:
        """Let each worker finish its present slice, and none be started again."""
        for place in self.places:
            place.restart_at = None
            if place.process is not None:
                place.process.terminate()

    def wait_for_end(self, seconds: float) -> None:
        """Wait for the workers that were asked to stop; kill those that take longer."""
        due = time.monotonic() + seconds
        for place in self.places:
            if place.process is None:
                continue
            place.process.join(max(due - time.monotonic(), 0))
            if place.process.is_alive():
                logger.warning("Killing a background worker after it refused to stop")
                place.process.kill()
                place.process.join()
            place.process = None

    def restart(self, seconds: float) -> None:
        """Replace the workers, with new code and settings."""
        self.ask_to_stop()
        self.wait_for_end(seconds)
        self.places = [BackgroundPlace(restart_at=0.0) for _ in self.places]
