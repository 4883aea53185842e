"""Tells the workers of a machine that something was revoked, without a statement a request.

All of them map the same eight bytes of a file. A revocation replaces the bytes by others; a worker that
finds other bytes than when it last asked the database asks again. Workers of other machines ask again
when `settings.TOKEN_STATE_LIFETIME` seconds have passed.
"""

import mmap
import os
from collections.abc import Callable, MutableMapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

STAMP_LENGTH = 8
Value = TypeVar("Value")


class RevocationStamp:
    """The shared bytes. They mean nothing but "still the same" or "not the same"."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.fstat(descriptor).st_size < STAMP_LENGTH:
                    # written, not only made longer: where the disk has no room, the mapping would be fatal
                    os.pwrite(descriptor, bytes(STAMP_LENGTH), 0)
                self.shared = mmap.mmap(descriptor, STAMP_LENGTH)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ImproperlyConfigured(
                f"The file {path} cannot be written ({error.strerror}). Revocations go through it: run all "
                "processes of the service as one user, in a VAR_DIR that belongs to it and has room."
            ) from error

    def read(self) -> bytes:
        return self.shared[:STAMP_LENGTH]

    def replace(self) -> None:
        """Make every reader notice a change. Random bytes: two writers at once cannot undo each other."""
        self.shared[:STAMP_LENGTH] = os.urandom(STAMP_LENGTH)


class RecentlyRead(Generic[Value]):
    """What the database said some seconds ago, as long as nothing has been revoked since.

    Holds at most `most` values; the oldest make room. What was not found is not remembered.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._values: dict[str, tuple[Value, bytes, datetime, datetime]] = {}

    def find(self, key: str, read: Callable[[], Value | None], *, at: datetime) -> Value | None:
        """Return the value of the key, out of the database when it is not known or may have changed."""
        stamp = revocation_stamp().read()
        known = self._values.get(key)
        if known is not None:
            value, known_stamp, read_at, read_again_at = known
            if known_stamp == stamp and read_at <= at < read_again_at:
                return value
        found = read()
        self._values.pop(key, None)
        if found is not None:
            read_again_at = at + timedelta(seconds=settings.TOKEN_STATE_LIFETIME)
            self._values[key] = (found, stamp, at, read_again_at)
            make_room(self._values, self._most)
        return found

    def clear(self) -> None:
        self._values.clear()


def make_room(values: MutableMapping[str, Value], most: int) -> None:
    """Drop the oldest quarter of more than `most` values."""
    if len(values) > most:
        for oldest in list(values)[: max(1, most // 4)]:
            values.pop(oldest, None)


@cache
def revocation_stamp() -> RevocationStamp:
    """Return the stamp of this machine, opened at the first use."""
    return RevocationStamp(Path(settings.REVOCATION_STAMP))


def announce_revocation() -> None:
    """Make all workers of this machine check again who may call, once the transaction has been committed."""
    transaction.on_commit(revocation_stamp().replace)
