"""Throttles what could be guessed: logins and coupon codes. All workers count together, in the database."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.db import connection

from accounts.models import AttemptCounter
from core.errors import TooManyAttempts


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """At most `most` attempts of one subject within `window`; it says what is guarded, and for whom."""

    subject: str
    most: int
    window: timedelta = timedelta(minutes=15)


def subject_of(*parts: object) -> str:
    """Return the digest under which attempts are counted: addresses and e-mails are not kept."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def count_attempt(limits: Sequence[AttemptLimit], *, at: datetime) -> None:
    """Count one attempt against all limits; raise TooManyAttempts when one of them is exceeded.

    Counts before the attempt is made, in one statement, so that many attempts at once cannot slip through
    before the first of them has failed. Call it outside a transaction that a failure rolls back. What
    succeeded is taken back by `forgive_attempt`.
    """
    ordered = sorted(limits, key=lambda limit: limit.subject)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_attemptcounter AS stored (subject, attempts, resets_at)"
            " SELECT subject, 1, resets_at FROM unnest(%s::text[], %s::timestamptz[])"
            " AS given (subject, resets_at) ORDER BY subject"
            " ON CONFLICT (subject) DO UPDATE SET"
            " attempts = CASE WHEN stored.resets_at <= %s THEN 1"
            " ELSE least(stored.attempts + 1, 1000000) END,"
            " resets_at = CASE WHEN stored.resets_at <= %s THEN excluded.resets_at ELSE stored.resets_at END"
            " RETURNING subject, attempts, resets_at",
            [[limit.subject for limit in ordered], [at + limit.window for limit in ordered], at, at],
        )
        counted = {subject: (attempts, resets_at) for subject, attempts, resets_at in cursor.fetchall()}
    waits = [
        ceil((counted[limit.subject][1] - at).total_seconds())
        for limit in limits
        if counted[limit.subject][0] > limit.most
    ]
    if waits:
        wait = max(1, *waits)
        raise TooManyAttempts(f"Too many failed attempts; try again in {wait} seconds.", retry_after=wait)


def purge_attempt_counters(*, at: datetime) -> int:
    """Delete the counters whose window is over; return how many."""
    return AttemptCounter.objects.filter(resets_at__lte=at).delete()[0]


def forgive_attempt(limits: Sequence[AttemptLimit], *, reset: Sequence[AttemptLimit] = ()) -> None:
    """Take one attempt back, as it did not fail; forget all attempts of the limits in `reset`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE accounts_attemptcounter AS stored SET attempts ="
            " CASE WHEN stored.subject = ANY(%s) THEN 0 ELSE greatest(stored.attempts - 1, 0) END"
            " FROM (SELECT subject FROM accounts_attemptcounter WHERE subject = ANY(%s)"
            " ORDER BY subject FOR UPDATE) AS locked WHERE stored.subject = locked.subject",
            [
                [limit.subject for limit in reset],
                [limit.subject for limit in (*limits, *reset)],
            ],
        )
