"""Throttles what could be guessed: logins and coupon codes. All workers count together, in the database."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from math import ceil

from accounts.identity.models import AttemptCounter
from accounts.models.customers import canonical_email
from core.errors import Overloaded, TooManyAttempts
from core.observation.metrics import THROTTLED
from core.sql.composition import Sql, param, slot, sql
from core.sql.fetching import Statement, execute, fetch_rows

FAILURES_OF_ACCOUNT = 5  # from one address
FAILURES_OF_ADDRESS = 20 * FAILURES_OF_ACCOUNT  # behind an address may be a whole office, or a mobile network
FAILURES_OF_ACCOUNT_ANYWHERE = 100
FAMILIAR_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """At most `most` attempts of one subject within `window`; `counted` names them in errors."""

    subject: str
    most: int
    window: timedelta = timedelta(minutes=15)
    counted: str = "failed attempts"


def subject_of(*parts: object) -> str:
    """Return the digest under which attempts are counted: addresses and e-mails are not kept."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def count_attempt(limits: Sequence[AttemptLimit], *, at: datetime, was_made: bool = False) -> None:
    """Count one attempt against all limits; raise TooManyAttempts when one of them is exceeded.

    Counts before the attempt is made, in one statement, so that many attempts at once cannot slip through
    before the first of them has failed. Call it outside a transaction that a failure rolls back. What
    succeeded is taken back by `forgive_attempt`. What is refused here counts for nothing: a caller that goes
    on against one limit would exhaust the wider ones of its neighbours, and many at once their own. An
    attempt that `was_made` already counts all the same: its caller has learnt what it wanted to know.
    """
    ordered = sorted(limits, key=lambda limit: limit.subject)
    rows = fetch_rows(
        sql(
            "INSERT INTO identity_attemptcounter AS stored (subject, attempts, resets_at)"
            " SELECT subject, 1, resets_at FROM unnest({subjects}, {resets_at})"
            " AS given (subject, resets_at) ORDER BY subject"
            " ON CONFLICT (subject) DO UPDATE SET"
            " attempts = CASE WHEN stored.resets_at <= {at} THEN 1"
            " ELSE least(stored.attempts + 1, 1000000) END,"
            " resets_at = CASE WHEN stored.resets_at <= {at}"
            " THEN excluded.resets_at ELSE stored.resets_at END"
            " RETURNING subject, attempts, resets_at",
            subjects=param([limit.subject for limit in ordered], "text[]"),
            resets_at=param([at + limit.window for limit in ordered], "timestamptz[]"),
            at=param(at),
        )
    )
    counted = {subject: (attempts, resets_at) for subject, attempts, resets_at in rows}
    waits = [
        (ceil((counted[limit.subject][1] - at).total_seconds()), limit.counted)
        for limit in limits
        if counted[limit.subject][0] > limit.most
    ]
    if waits:
        wait, what = max(waits)
        wait = max(1, wait)
        THROTTLED.labels(what).inc()
        if not was_made:
            forgive_attempt(limits)
        raise TooManyAttempts(f"Too many {what}; try again in {wait} seconds.", retry_after=wait)


def refuse_exhausted(limits: Sequence[AttemptLimit], *, at: datetime) -> None:
    """Raise TooManyAttempts when as many attempts failed as one of the limits allows."""
    if not limits:
        return
    values: dict[str, object] = {"at": at}
    for place, limit in enumerate(limits):
        values |= {f"subject_{place}": limit.subject, f"most_{place}": limit.most}
    [(resets_at,)] = exhausted_statement(len(limits)).rows(**values)
    if resets_at is not None:
        wait = max(1, ceil((resets_at - at).total_seconds()))
        THROTTLED.labels(limits[0].counted).inc()
        raise TooManyAttempts(f"Too many {limits[0].counted}; try again in {wait} seconds.", retry_after=wait)


@cache
def exhausted_statement(count: int) -> Statement:
    """Return the statement of `refuse_exhausted`: one search for each limit, which arrays would slow down."""
    exhausted = [
        sql(
            "(counter.subject = {subject} AND counter.attempts >= {most})",
            subject=slot(f"subject_{place}"),
            most=slot(f"most_{place}"),
        )
        for place in range(count)
    ]
    return Statement(
        sql(
            "SELECT max(counter.resets_at) FROM identity_attemptcounter AS counter"
            " WHERE counter.resets_at > {at} AND ({exhausted})",
            at=slot("at"),
            exhausted=Sql.joined(" OR ", exhausted),
        )
    )


def forgive_attempt(limits: Sequence[AttemptLimit], *, reset: Sequence[AttemptLimit] = ()) -> None:
    """Take one attempt back, as it did not fail; forget all attempts of the limits in `reset`."""
    execute(
        sql(
            "UPDATE identity_attemptcounter AS stored SET attempts ="
            " CASE WHEN stored.subject = ANY({reset}) THEN 0 ELSE greatest(stored.attempts - 1, 0) END"
            " FROM (SELECT subject FROM identity_attemptcounter WHERE subject = ANY({subjects})"
            " ORDER BY subject FOR UPDATE) AS locked WHERE stored.subject = locked.subject",
            reset=param([limit.subject for limit in reset]),
            subjects=param([limit.subject for limit in (*limits, *reset)]),
        )
    )


def count_wrong_secret(*, client_id: str, address: str, at: datetime) -> None:
    """Count a wrong secret for the client at this address and for the address. Raises TooManyAttempts.

    Only secrets that were found wrong come here. A right one is accepted however many wrong ones there were:
    it has 256 random bits, which nobody guesses, and no stranger and no program that holds an old secret,
    at whichever address, locks out the real client.
    """
    of_client = AttemptLimit(subject_of("secret", address, client_id), most=FAILURES_OF_ACCOUNT)
    of_address = AttemptLimit(subject_of("secret address", address), most=FAILURES_OF_ADDRESS)
    count_attempt([of_client, of_address], at=at, was_made=True)


@contextmanager
def counted_login(*, realm: object, account: str, address: str, at: datetime) -> Iterator[None]:
    """Count a login as failed unless the body ends without an error. Raises TooManyAttempts.

    `realm` is what the account belongs to: a tenant's key, or the staff. A login counts for the account at
    this address, for the address, and for the account wherever it is tried from. An account that has logged
    in from this address within 30 days counts at this address only, so that what strangers do, here or
    elsewhere, never locks it out. Call it outside a transaction that a failure rolls back.
    """
    login = canonical_email(account)
    of_account = AttemptLimit(subject_of("login", realm, address, login), most=FAILURES_OF_ACCOUNT)
    familiar = subject_of("familiar", realm, address, login)
    wider = []
    if not is_remembered(familiar, at=at):
        wider = [
            AttemptLimit(subject_of("login address", realm, address), most=FAILURES_OF_ADDRESS),
            AttemptLimit(subject_of("login account", realm, login), most=FAILURES_OF_ACCOUNT_ANYWHERE),
        ]
    count_attempt([of_account, *wider], at=at)
    try:
        yield
    except Overloaded:  # nothing was tried
        forgive_attempt([of_account, *wider])
        raise
    forgive_attempt(wider, reset=[of_account])
    remember(familiar, until=at + FAMILIAR_FOR)


def remember(subject: str, *, until: datetime) -> None:
    """Keep the subject until then, as a counter of nothing."""
    AttemptCounter.objects.bulk_create(
        [AttemptCounter(subject=subject, attempts=0, resets_at=until)],
        update_conflicts=True,
        unique_fields=["subject"],
        update_fields=["resets_at"],
    )


def is_remembered(subject: str, *, at: datetime) -> bool:
    return AttemptCounter.objects.filter(subject=subject, resets_at__gt=at).exists()
