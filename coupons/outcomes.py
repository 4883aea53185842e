"""What becomes of redemptions, for the metrics."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from core.errors import DomainError, TooManyAttempts
from core.observation.metrics import counter
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
