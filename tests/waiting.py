"""Waiting for conditions, never for times: a busy machine is no fault of what is tested."""

import time
from collections.abc import Callable

from core.sql.composition import Sql
from core.sql.fetching import fetch_rows

PATIENCE = 240.0  # seconds; only a test that fails waits so long
PAUSE = 0.02  # seconds between two looks

# Only of this database: the tests of other processes wait for locks as well.
WAITING = Sql(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def wait_until(holds: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return as soon as the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(PAUSE)


def wait_for_killed_sessions() -> None:
    """Return when no other session is left: that of a killed process may still commit what it was sent."""
    others = Sql(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend' LIMIT 1"
    )
    wait_until(lambda: not fetch_rows(others))


def sessions_that_wait_for_locks() -> int:
    """How many sessions of the test's database wait for a lock."""
    fetch_rows(Sql("SELECT pg_stat_clear_snapshot()::text"))  # a transaction would see the same for ever
    [(count,)] = fetch_rows(WAITING)
    return count


def wait_for_a_lock() -> None:
    """Return when another session of the test's database waits for a lock."""
    wait_until(sessions_that_wait_for_locks)
