"""Threads that do a little work again and again for as long as their process lives."""

import threading
from collections.abc import Callable


class PacedThread(threading.Thread):
    """A daemon thread that calls `turn`, waits for `seconds`, and calls it again.

    A turn that fails ends the thread, with Python's report of it; a turn that may fail handles that itself.
    """

    def __init__(self, turn: Callable[[], object], *, seconds: float, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.turn = turn
        self.seconds = seconds
        self._ended = threading.Event()

    def run(self) -> None:
        """Take turns; the last one begins after `finish` was called."""
        while not self._ended.is_set():
            self.turn()
            self._ended.wait(self.seconds)
        self.turn()

    def finish(self, seconds: float) -> None:
        """Take one more turn at once and no other; wait for its end, but no longer than `seconds`."""
        self._ended.set()
        self.join(seconds)
