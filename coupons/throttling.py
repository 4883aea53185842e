"""Failed attempts at codes, counted per client and address for all workers, so that codes can't be guessed.

Only failures count. A client that failed too often gets no verdict on validations any more, right or wrong,
until the window ends. A redemption that succeeds goes on being accepted, since behind one client and
address may stand a whole shop, but what fails is answered alike; only a client that fails many times more
often, as a program does that tries codes by redeeming, is refused outright.
"""

from datetime import datetime, timedelta
from math import ceil

from django.conf import settings

from accounts.identity.operations.attempts import AttemptLimit, count_attempt, subject_of
from core.errors import TooManyAttempts
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows

REDEMPTION_PATIENCE = 10
"""How many times the limit a client may fail before its redemptions are refused outright."""


def attempt_limit(*, tenant_id: int, client_id: str, address: str) -> AttemptLimit:
    """Return the limit of failures for a client at an address."""
    return AttemptLimit(
        subject_of("coupon", tenant_id, client_id, address),
        settings.COUPON_FAILED_ATTEMPTS,
        timedelta(seconds=settings.COUPON_FAILED_ATTEMPTS_WINDOW),
    )


def refuse_exhausted(limit: AttemptLimit, *, at: datetime, patience: int = 1) -> None:
    """Raise TooManyAttempts when as many attempts failed as the limit allows, `patience` times over."""
    rows = fetch_rows(
        sql(
            "SELECT resets_at FROM identity_attemptcounter"
            " WHERE subject = {subject} AND resets_at > {at} AND attempts >= {most}",
            subject=param(limit.subject),
            at=param(at),
            most=param(limit.most * patience),
        ),
        prepared=True,
    )
    if rows:
        wait = max(1, ceil((rows[0][0] - at).total_seconds()))
        raise TooManyAttempts(f"Too many failed attempts; try again in {wait} seconds.", retry_after=wait)


def count_failure(limit: AttemptLimit, *, at: datetime) -> None:
    """Count an attempt that failed; raise TooManyAttempts when it is one too many.

    Call it outside the transaction that failed.
    """
    count_attempt([limit], at=at)
