from multiprocessing.sharedctypes import RawArray
from time import monotonic


class Heartbeats:
    """When each worker was last able to work, in memory that the server process shares with its workers."""

    def __init__(self, workers: int) -> None:
        self._pids = RawArray("q", workers)
        self._times = RawArray("d", workers)

    def beat(self, place: int, pid: int) -> None:
        self._times[place] = monotonic()
        self._pids[place] = pid

    def last(self, place: int, pid: int) -> float | None:
        """Return when this process beat last; None when another process, or none, has the place."""
        return self._times[place] if self._pids[place] == pid else None
