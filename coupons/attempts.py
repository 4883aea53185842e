"""Attempts at coupon codes: what becomes of redemptions, and how many unknown codes one may try.

Attempts with unknown codes are limited, so that codes cannot be guessed; all workers count together. Only
codes that no coupon has are counted: a coupon's refusal by its terms is what shoppers meet every day.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.http import HttpRequest

from accounts.identity.operations.attempts import AttemptLimit, count_attempt, refuse_exhausted, subject_of
from core.addresses import client_address
from core.errors import DomainError, TooManyAttempts
from core.observation.metrics import counter
from core.tenancy.callers import Caller, CallerKind
from coupons.eligibility_queries import code_is_taken
from coupons.errors import CartNotRedeemable, CouponNotFound, CouponNotRedeemable
from coupons.operations.redemptions import Redeemed

REDEMPTIONS = counter(
    "coupon_redemptions",
    "Requests to redeem coupons, by outcome: redeemed, repeated (the same request had been counted before),"
    " not_redeemable, unknown_code, throttled, refused (for another reason), failed.",
    ("outcome",),
)
REFUSALS = counter(
    "coupon_refusals", "Reasons of redemptions that were not_redeemable; one may have several.", ("reason",)
)


class Outcome:
    """What has become of one request."""

    name = "failed"

    def succeed(self, redemptions: Iterable[Redeemed]) -> None:
        self.name = "redeemed" if any(one.is_new for one in redemptions) else "repeated"


@contextmanager
def counted_redemption() -> Iterator[Outcome]:
    """Count what becomes of the request inside. Use it outside of the transaction."""
    outcome = Outcome()
    try:
        yield outcome
    except (CouponNotRedeemable, CartNotRedeemable) as refused:
        outcome.name = "not_redeemable"
        given = refused.reasons
        for reason in [one for some in given.values() for one in some] if isinstance(given, dict) else given:
            REFUSALS.labels(reason.type.value).inc()
        raise
    except CouponNotFound:
        outcome.name = "unknown_code"
        raise
    except TooManyAttempts:
        outcome.name = "throttled"
        raise
    except DomainError:
        outcome.name = "refused"
        raise
    finally:
        REDEMPTIONS.labels(outcome.name).inc()


ADDRESS_FACTOR = 10
"""How many times wider an address is limited than a session: behind it may be a whole office."""


def attempt_limits(caller: Caller, *, customer_number: str, request: HttpRequest) -> list[AttemptLimit]:
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
            subject_of("coupon address", tenant_id, client_address(request)),
            most * ADDRESS_FACTOR,
            window,
            counted,
        ),
    ]


@contextmanager
def limited_attempt(
    caller: Caller, request: HttpRequest, code: str, *, customer_number: str, at: datetime
) -> Iterator[None]:
    """Refuse the attempt at a code inside after too many unknown ones; count it if it is one more.

    `customer_number` is the attempt's customer, empty when none is known.
    """
    limits = attempt_limits(caller, customer_number=customer_number, request=request)
    refuse_exhausted(limits, at=at)
    try:
        yield
    except CouponNotFound:
        if limits and not code_is_taken(caller.tenant.id, code):
            count_attempt(limits, at=at, was_made=True)
        raise
