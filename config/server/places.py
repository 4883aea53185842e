"""When a worker counts as hung, and when one that has ended is started again."""

from dataclasses import dataclass

HUNG_AFTER = 6.0  # seconds without a heartbeat
LOADING = 120.0  # seconds that a new worker may take until its first heartbeat
DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before a worker that ended early is started again
STEADY_AFTER = 60.0  # seconds after which the end of a worker counts as its first


@dataclass
class Place:
    """One of the workers that there are to be, whichever process it is at the moment."""

    ends: int = 0  # in a row, early
    restart_at: float | None = None  # set while no process serves here
    last_beat: float | None = None  # of the present process

    def is_hung(self, beat: float | None, *, started_at: float, now: float, was_late: bool) -> bool:
        """Whether the present process has given no sign of life for too long; `beat` is its last one.

        `was_late` says that the whole machine stood still: then the process may beat first.
        """
        if beat is not None:
            self.last_beat = beat
        if was_late and self.last_beat is not None:
            self.last_beat = now
        if self.last_beat is None:
            return now - started_at > LOADING
        return now - self.last_beat > HUNG_AFTER

    def plan_restart(self, *, started_at: float, now: float) -> float:
        """Note that the process has ended; return after how many seconds another one is to start."""
        if now - started_at > STEADY_AFTER:
            self.ends = 0
        delay = DELAYS[min(self.ends, len(DELAYS) - 1)]
        self.ends += 1
        self.restart_at = now + delay
        return delay
