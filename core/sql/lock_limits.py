"""Bounds how long one transaction of an import or of a dry run holds what others write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.db import OperationalError, connection
from psycopg.errors import QueryCanceled

from core.errors import DomainError

LONGEST_LOCK = 2.5
"""Seconds; less than a write of a web worker waits for a lock, 3 s by default."""
SET_AGAIN = 0.2  # seconds after which the server learns anew how long a statement may take


class LockedForTooLong(DomainError):
    """A transaction held what others write for longer than it may; it is rolled back."""

    code = "locked_for_too_long"


@dataclass(slots=True)
class LockLimit:
    """The time that one transaction may go on once it has its locks; what runs then is cancelled."""

    seconds: float
    message: str
    end: float | None = None
    set_at: float = 0.0
    is_over: bool = False

    def begin(self) -> None:
        """Have the time begin: from here on the transaction holds what others write."""
        if self.end is None:
            self.end = monotonic() + self.seconds

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Raise LockedForTooLong in the block when the time is over. Call it in the transaction."""
        with connection.execute_wrapper(self._run):
            yield
            if self.end is not None:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SET CONSTRAINTS ALL IMMEDIATE"
                    )  # what is left to the commit takes time too

    def _run(
        self, execute: Callable[..., Any], statement: Any, parameters: Any, many: bool, context: Any
    ) -> Any:
        if self.end is None or self.is_over:  # then savepoints are rolled back
            return execute(statement, parameters, many, context)
        now = monotonic()
        if now >= self.end:
            raise self._refusal()
        if now - self.set_at > SET_AGAIN:
            milliseconds = max(1, int((self.end - now) * 1_000))
            execute(f"SET LOCAL statement_timeout = {milliseconds}", None, False, context)
            self.set_at = now
        try:
            return execute(statement, parameters, many, context)
        except OperationalError as error:
            if isinstance(error.__cause__, QueryCanceled) and monotonic() >= self.end - SET_AGAIN:
                raise self._refusal() from error
            raise

    def _refusal(self) -> LockedForTooLong:
        self.is_over = True
        return LockedForTooLong(self.message)
