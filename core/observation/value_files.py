"""The files in which a process keeps its metrics, safe on a disk that is full.

They are mapped into memory. Whoever writes to a page of such a file for which the disk has no room is ended
by the system (SIGBUS): a full disk would end all web workers, one after the other.
"""

import logging
import mmap
import os
from struct import pack_into
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

SIZE = 1 << 16  # bytes to begin with; doubled when they are used up
LENGTH_OF_REST = 64  # bytes of an entry besides its key, generously

logger = logging.getLogger(__name__)


class AllocatedValues(MmapedDict):
    """Takes the room on the disk before anything is written to it.

    Without room the values go on in memory: the process works, and /metrics shows what was in the file.
    """

    _f: Any  # None while the values are in memory

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        try:
            with open(filename, "ab") as file:
                extend(file.fileno(), SIZE - file.tell())
        except OSError as error:
            self._begin_in_memory(filename, error)
        else:
            super().__init__(filename, read_mode)

    def _begin_in_memory(self, filename: str, error: OSError) -> None:
        if os.path.exists(filename):
            os.unlink(filename)  # a reader would take one that is too short for broken
        self._f = None
        self._fname = filename
        self._positions: dict[str, int] = {}
        self._used = 8
        self._keep_in_memory(SIZE, b"", error)
        pack_into("i", self._m, 0, self._used)

    def _init_value(self, key: str) -> None:
        while self._used + len(key.encode()) + LENGTH_OF_REST > self._capacity:
            self._grow()
        super()._init_value(key)

    def _grow(self) -> None:
        if self._f is None:
            return self._keep_in_memory(2 * self._capacity, self._m[:], None)
        try:
            extend(self._f.fileno(), self._capacity)
        except OSError as error:
            os.truncate(self._f.fileno(), self._capacity)
            self._f.close()
            self._f = None
            return self._keep_in_memory(2 * self._capacity, self._m[:], error)
        self._capacity *= 2
        self._m = mmap.mmap(self._f.fileno(), self._capacity)
        return None

    def _keep_in_memory(self, capacity: int, content: bytes, error: OSError | None) -> None:
        self._m = mmap.mmap(-1, capacity)
        self._m[: len(content)] = content
        self._capacity = capacity
        if error is not None:
            logger.warning(
                "%s has no room for metrics (%s): /metrics shows no new ones of this process until it starts"
                " anew.",
                os.path.dirname(self._fname),
                error.strerror,
            )


def extend(descriptor: int, size: int) -> None:
    """Add so many zeros to a file; raise OSError when the disk has no room for all of them."""
    while size > 0:
        size -= os.write(descriptor, bytes(size))


def allocate_files_of_values() -> None:
    """Have prometheus-client keep its values so; to be called before a family is defined."""
    values.MmapedDict = AllocatedValues  # type: ignore[misc]
