"""Attempts with unknown codes are limited, so that codes cannot be guessed. All workers count together.

Only codes that no coupon has are counted: a coupon's refusal by its terms is what shoppers meet every day.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from django.conf import settings

from accounts.identity.operations.attempts import AttemptLimit, subject_of
from core.errors import TooManyAttempts
from core.observation.metrics import THROTTLED
from core.sql.composition import Sql, bind, param, sql
from core.sql.fetching import fetch_rows
from core.tenancy.callers import Caller, CallerKind

ADDRESS_FACTOR = 10
"""How many times wider an address is limited than a session: behind it may be a whole office."""


def attempt_limits(caller: Caller, *, customer_number: str, address: str) -> list[AttemptLimit]:
    """Return the limits that count an attempt for this customer (empty: for nobody known).

    A customer has one limit for all callers. An anonymous caller has that of the session, and that
    of the address, since a new session costs nothing. A service that names no customer has none: a shop's
    server calls for all its shoppers.
    """
    most, tenant_id = settings.COUPON_FAILED_ATTEMPTS, caller.tenant.id
    window = timedelta(seconds=settings.COUPON_FAILED_ATTEMPTS_WINDOW)
    counted = "attempts with unknown codes"
    if customer_number:
        customer = subject_of("coupon customer", tenant_id, customer_number)
        return [AttemptLimit(customer, most, window, counted)]
    if caller.kind is not CallerKind.ANONYMOUS:
        return []
    return [
        AttemptLimit(subject_of("coupon session", tenant_id, caller.session_id), most, window, counted),
        AttemptLimit(
            subject_of("coupon address", tenant_id, address), most * ADDRESS_FACTOR, window, counted
        ),
    ]


def refuse_exhausted(limits: Sequence[AttemptLimit], *, at: datetime) -> None:
    """Raise TooManyAttempts when as many attempts failed as one of the limits allows."""
    if not limits:
        return
    exhausted = [
        bind(
            "(counter.subject = {subject} AND counter.attempts >= {most})",
            subject=limit.subject,
            most=limit.most,
        )
        for limit in limits
    ]
    statement = sql(
        "SELECT max(counter.resets_at) FROM identity_attemptcounter AS counter"
        " WHERE counter.resets_at > {at} AND ({exhausted})",
        at=param(at),
        exhausted=Sql.joined(" OR ", exhausted),
    )
    rows = fetch_rows(statement, prepared=True)
    if (resets_at := rows[0][0]) is not None:
        wait = max(1, ceil((resets_at - at).total_seconds()))
        THROTTLED.labels(limits[0].counted).inc()
        raise TooManyAttempts(f"Too many {limits[0].counted}; try again in {wait} seconds.", retry_after=wait)
