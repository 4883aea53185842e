"""When a delivery that did not succeed is tried again, and when it is given up."""

import random
from datetime import datetime, timedelta

DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=12),
)
"""After the first attempt, the second and so on; the last one again and again."""
GIVEN_UP_AFTER = timedelta(days=3)
JITTER = 0.2  # at most this share is added, so that those that failed together do not come back together
LONGEST_PAUSE = timedelta(minutes=5)  # of a target as a whole
FAILURES_UNTIL_PAUSE = 3


def jittered(delay: timedelta) -> timedelta:
    return delay * (1 + random.random() * JITTER)  # noqa: S311 -- nothing secret


def next_attempt(
    *, at: datetime, attempts: int, first_attempt_at: datetime, retry_after: timedelta | None
) -> datetime | None:
    """Return when the next attempt is made, after so many; None when the delivery is given up.

    What the target asks for (`retry_after`) takes the place of the schedule, with at least its first delay.
    """
    if retry_after is not None:
        due_at = at + jittered(max(retry_after, DELAYS[0]))
    else:
        due_at = at + jittered(DELAYS[min(attempts, len(DELAYS)) - 1])
    return due_at if due_at <= first_attempt_at + GIVEN_UP_AFTER else None


def pause_of_target(
    *, at: datetime, failures: int, has_answered: bool, retry_after: timedelta | None
) -> datetime | None:
    """Return until when a target is paused after so many failures in a row; None for not at all."""
    if retry_after is not None:
        return at + max(retry_after, DELAYS[0])
    if has_answered and failures < FAILURES_UNTIL_PAUSE:
        return None
    return at + jittered(min(DELAYS[min(failures, len(DELAYS)) - 1], LONGEST_PAUSE))
