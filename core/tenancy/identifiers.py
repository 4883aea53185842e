"""Ids of documents: those a client chose, and those the service generates."""

import re
import secrets
import threading
import time
from collections.abc import Collection

from core.errors import InvalidInput
from core.text import fault_of_id

CLIENT_ID = re.compile(r"[A-Za-z0-9._:~@-]{1,128}")
"""The ids a client may choose. Use `fullmatch`."""

UNREACHABLE_IDS = frozenset({".", ".."})
"""Ids that no address reaches: clients and proxies take them for steps between folders."""

_RANDOM_BITS = 74  # a version 7 UUID holds 48 bits of milliseconds, 6 fixed bits and these
_STEP_BITS = 48  # some 67 million steps fit into one millisecond, and none can be guessed from the last
_VERSION = 0x7
_VARIANT = 0b10


class _Sequence:
    """Version 7 UUIDs of one process, each greater than all before it.

    Milliseconds and random bits are one number: within a millisecond, or when the clock was set back, the
    next id is the last one plus a random step, and an overflow carries into the milliseconds.
    """

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        fresh = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        step = 1 + secrets.randbits(_STEP_BITS)
        with self._lock:
            self._last = fresh if fresh > self._last else self._last + step
            number = self._last
        milliseconds = number >> _RANDOM_BITS
        high, low = number >> 62 & 0xFFF, number & (1 << 62) - 1
        return milliseconds << 80 | _VERSION << 76 | high << 64 | _VARIANT << 62 | low


_sequence = _Sequence()


def generate_id() -> str:
    """Return a new UUIDv7 (RFC 9562) in lower case; ids of one process sort in the order of their making."""
    digits = f"{_sequence.next():032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def check_client_id(value: object, *, field: str, reserved: Collection[str] = UNREACHABLE_IDS) -> str:
    """Return the id unchanged when a client may choose it; raise InvalidInput naming `field` otherwise.

    `reserved` are the `reserved_ids` of what gets the id.
    """
    if isinstance(value, str) and CLIENT_ID.fullmatch(value):
        if value in reserved:
            raise InvalidInput(
                f"{field} must not be {value}, which is reserved: addresses use it for something else.",
                field=field,
            )
        return value
    if not isinstance(value, str):
        raise InvalidInput(f"{field} {'is missing' if value is None else 'must be a text'}.", field=field)
    hint = f"; {found}" if (found := fault_of_id(value)) else ""
    raise InvalidInput(
        f"{field} must be 1 to 128 characters out of letters, digits and . _ - : ~ @{hint}", field=field
    )
