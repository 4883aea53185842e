"""Ends an import in an orderly way when the operator stops it (Ctrl-C) or the process is terminated."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread
from typing import Self

import psycopg
from django.db import connection

CANCEL_SECONDS = 5.0


class StopRequest:
    """Notices SIGINT and SIGTERM. Raises KeyboardInterrupt where nothing is left half done.

    Python would raise it between any two instructions: within a commit, or within the code that restores the
    state of a connection. While `guarded`, a signal is only noted, and the statement that is running is
    cancelled; the next statement or `check` raises KeyboardInterrupt, once.
    """

    def __init__(self) -> None:
        self.is_made = False
        self.is_pending = False
        self.is_guarded = False
        self.is_cancelling = False

    @contextmanager
    def noticed(self) -> Iterator[Self]:
        """Handle the signals until the end of the block."""
        if current_thread() is not main_thread():  # Python delivers signals only there
            yield self
            return
        before = {number: signal.signal(number, self._notice) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise KeyboardInterrupt only at statements and checks. Signals after the block are ignored."""
        self.is_guarded = self.is_cancelling = True
        try:
            yield
        finally:
            self.is_cancelling = False
            if self._before_statement in connection.execute_wrappers:
                connection.execute_wrappers.remove(self._before_statement)

    def check(self) -> None:
        """Raise KeyboardInterrupt when a signal came."""
        if self.is_pending:
            self.is_pending = False
            raise KeyboardInterrupt

    def _before_statement(self, execute: Callable[..., object], *arguments: object) -> object:
        self.check()
        return execute(*arguments)

    def _notice(self, number: int, frame: object) -> None:
        self.is_made = self.is_pending = True
        if not self.is_guarded:
            self.check()
        elif self.is_cancelling and self._before_statement not in connection.execute_wrappers:
            connection.execute_wrappers.insert(0, self._before_statement)
        server = connection.connection
        if self.is_cancelling and server is not None:
            with suppress(psycopg.Error):  # then the request is noticed when the statement has ended
                server.cancel_safe(timeout=CANCEL_SECONDS)
