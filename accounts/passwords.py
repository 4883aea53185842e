"""Password hashing, for customers and staff, in a bounded number of slots of each process.

One hash takes a third of a second of a core, and anybody may ask for one by logging in or signing up. Without
a bound a few such requests would keep every thread of a worker busy, and no read would be answered.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.hashers import check_password, identify_hasher, make_password

from core.errors import InvalidInput, Overloaded

LONGEST_WAIT = 1.0  # seconds
# Bounds for hashes that were made elsewhere: one that is checked at every login must not take seconds.
LARGEST_COSTS = {"iterations": 5_000_000, "memory_cost": 1 << 18, "time_cost": 20, "block_size": 32}
LARGEST_WORK_FACTORS = {"scrypt": 1 << 18}
LARGEST_WORK_FACTOR = 16  # of bcrypt, as an exponent


class HashingSlots:
    """Lets `most` threads hash at once and as many wait for them; the others are refused.

    The bound on those who wait matters as much: a thread that waits answers nobody else either.
    """

    def __init__(self, most: int, *, longest_wait: float = LONGEST_WAIT) -> None:
        self._longest_wait = longest_wait
        self._slots = threading.BoundedSemaphore(most)
        self._queue = threading.BoundedSemaphore(most)
        self._thread = threading.local()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold a slot; raise Overloaded when none is free soon. A thread that holds one needs no second."""
        if getattr(self._thread, "holds_slot", False):
            yield
            return
        if not self._acquire():
            raise Overloaded("Too many passwords are being checked at the moment; try again in a second.")
        self._thread.holds_slot = True
        try:
            yield
        finally:
            self._thread.holds_slot = False
            self._slots.release()

    def _acquire(self) -> bool:
        if self._slots.acquire(blocking=False):
            return True
        if not self._queue.acquire(blocking=False):
            return False
        try:
            return self._slots.acquire(timeout=self._longest_wait)
        finally:
            self._queue.release()


hashing_slots = HashingSlots(settings.PASSWORD_HASHING_SLOTS)


def hash_password(password: str) -> str:
    """Return the hash to store. Raises Overloaded when no slot is free."""
    with hashing_slots.take():
        return make_password(password)


def is_password(password: str, encoded: str) -> bool:
    """Say whether this is the password that was hashed. Raises Overloaded when no slot is free."""
    with hashing_slots.take():
        return check_password(password, encoded)


def check_encoded_password(encoded: str) -> None:
    """Raise InvalidInput unless one of settings.PASSWORD_HASHERS verifies this hash at a bearable cost."""
    field = "account.passwordHash"
    try:
        hasher = identify_hasher(encoded)
        decoded = hasher.decode(encoded)
    except (AssertionError, IndexError, KeyError, TypeError, ValueError):
        raise InvalidInput(
            "passwordHash must be in an encoding of Django that this service verifies, such as"
            " pbkdf2_sha256$<iterations>$<salt>$<hash>; send hashes of other systems as legacyAuth.",
            field=field,
        ) from None
    most = {
        **LARGEST_COSTS,
        "work_factor": LARGEST_WORK_FACTORS.get(str(hasher.algorithm), LARGEST_WORK_FACTOR),
    }
    for name, bound in most.items():
        if isinstance(cost := decoded.get(name), int) and not 0 < cost <= bound:
            raise InvalidInput(f"passwordHash has {name} {cost}; the most is {bound}.", field=field)
