"""Lets threads act at the same instant, each with a connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from core.errors import DomainError


def at_once(count: int, act: Callable[[], object]) -> list[object]:
    """Let so many threads act at the same instant; return their results, or the refusals they met."""
    barrier = threading.Barrier(count)

    def run(_: int) -> object:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            return act()
        except DomainError as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))
