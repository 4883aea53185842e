"""What web workers gather in memory and write together every few seconds, so that no request waits for it."""

import logging
from collections.abc import Callable

from django.db import connections

logger = logging.getLogger(__name__)

FLUSH_EVERY = 5.0  # seconds; a worker that is killed loses what it gathered in these
_buffers: dict[str, Callable[[], None]] = {}


def register_buffer(name: str, flush: Callable[[], None]) -> None:
    """Have web workers call `flush`, which writes what was gathered since; a failure leaves it gathered."""
    _buffers[name] = flush


def flush_buffers() -> None:
    """Write everything that was gathered; log what fails, to be tried again with the next flush."""
    for name, flush in _buffers.items():
        try:
            flush()
        except Exception:  # the database may be away, and the next buffer may need another one
            logger.warning("The buffer %s could not be written; it is tried again.", name, exc_info=True)
    connections.close_all()
