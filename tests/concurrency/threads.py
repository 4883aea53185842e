"""Work in threads and processes that have connections to the database of their own."""

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection, connections

from core.errors import DomainError
from tests.waiting import PATIENCE

WORKERS = 8


def closing_connections(work: Callable[[], Any]) -> Any:
    try:
        return work()
    finally:
        connections.close_all()


def in_thread(work: Callable[[], Any]) -> Future[Any]:
    """Start the work in a thread."""
    threads = ThreadPoolExecutor(1)
    future = threads.submit(closing_connections, work)
    threads.shutdown(wait=False)
    return future


def at_once(count: int, act: Callable[[], object]) -> list[object]:
    """Let so many threads act at the same instant; return their results, or the refusals they met."""
    barrier = threading.Barrier(count)

    def run() -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=PATIENCE)
            return act()
        except DomainError as refused:
            return refused

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(closing_connections, [run] * count))


def results_of(calls: Sequence[Callable[[], object]]) -> list[object]:
    """Let eight threads run the calls; return what they return, faults too: a deadlock shows in the test."""

    def run(call: Callable[[], object]) -> object:
        try:
            return closing_connections(call)
        except Exception as fault:  # noqa: BLE001
            return fault

    with ThreadPoolExecutor(WORKERS) as threads:
        return list(threads.map(run, calls))


def in_processes(count: int, work: Callable[[], None]) -> list[multiprocessing.Process]:
    """Start processes that do the work, with connections of their own."""

    def run() -> None:
        for inherited in connections.all(initialized_only=True):
            inherited.connection = None  # the loop of Playwright hides it from close_all
        work()

    connections.close_all()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=run, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    return processes  # type: ignore[return-value]
