"""Tells the workers of a machine that something was revoked, without a statement a request.

All of them map the same eight bytes of a file. A revocation replaces the bytes by others; a worker that
finds other bytes than when it last asked the database asks again. Workers of other machines ask again
when `settings.TOKEN_STATE_LIFETIME` seconds have passed.
"""

import mmap
import os
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db import transaction

STAMP_LENGTH = 8


class RevocationStamp:
    """The shared bytes. They mean nothing but "still the same" or "not the same"."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size < STAMP_LENGTH:
                os.ftruncate(descriptor, STAMP_LENGTH)
            self._bytes = mmap.mmap(descriptor, STAMP_LENGTH)
        finally:
            os.close(descriptor)

    def read(self) -> bytes:
        return self._bytes[:STAMP_LENGTH]

    def replace(self) -> None:
        """Make every reader notice a change. Random bytes: two writers at once cannot undo each other."""
        self._bytes[:STAMP_LENGTH] = os.urandom(STAMP_LENGTH)


@cache
def revocation_stamp() -> RevocationStamp:
    """Return the stamp of this machine, opened at the first use."""
    return RevocationStamp(Path(settings.REVOCATION_STAMP))


def announce_revocation() -> None:
    """Make all workers of this machine check again who may call, once the transaction has been committed."""
    transaction.on_commit(revocation_stamp().replace)
