"""Gives memory back to the operating system after large bodies.

The C library keeps what Python frees between live objects: three threads that had built texts of 40 MB
held 74 MB, and 10 MB once `malloc_trim` had run. What a result leaves with its cursor and its connection is
given up by `core.sql.fetching.release_large_result`. Bodies belong to requests and views that refer to each
other, so the collector runs first. Measured with nine pages of 21 MB over three threads of one worker that
begins with 102 MB, then bodies of 2.5 and of 30 MB: 114, 122 and 116 MB afterwards (198, 188 and 190 MB
without `MALLOC_MMAP_THRESHOLD_`, which `config.server.granian` sets).
"""

import ctypes
import gc
import sys
from threading import Lock, Timer

LARGE_BODY = 1_048_576  # bytes
PAUSE = 0.5  # seconds: the response must have been sent before its memory is free

lock = Lock()
waiting: list[Timer] = []


def trim() -> None:
    """Give back the memory that is free now, of requests that refer to themselves as well."""
    with lock:
        waiting.clear()
    gc.collect()
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)


def trim_soon() -> None:
    """Give memory back in a moment, once for all requests until then."""
    with lock:
        if waiting:
            return
        timer = Timer(PAUSE, trim)
        timer.daemon = True
        waiting.append(timer)
    timer.start()
