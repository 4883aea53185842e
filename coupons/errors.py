"""What coupons can refuse, as facts."""

from collections.abc import Sequence

from core.errors import AlreadyExists, Conflict, InvalidBody, InvalidInput, NotFound
from coupons.reasons import Reason


class InvalidCode(InvalidInput):
    """The text cannot be a coupon's code."""

    code = "invalid_code"

    def __init__(self, message: str) -> None:
        super().__init__(message, field="code")


class InvalidTerms(InvalidBody):
    """Fields of a coupon contradict each other, or name what does not exist. Lists all that is wrong."""

    code = "invalid_terms"


class CouponNotFound(NotFound):
    """No coupon has the code, or it is deleted."""

    code = "coupon_not_found"

    def __init__(self, coupon_code: str) -> None:
        super().__init__(f"There is no coupon with the code {coupon_code}.")


class RedemptionNotFound(NotFound):
    """The coupon has no redemption with the id, or none that the caller may see."""

    code = "redemption_not_found"

    def __init__(self, redemption_id: str) -> None:
        super().__init__(f"The coupon has no redemption {redemption_id}.")


class CodeTaken(AlreadyExists):
    """Another coupon has the code, perhaps a deleted one."""

    code = "code_taken"

    def __init__(self, coupon_code: str) -> None:
        super().__init__(f"The code {coupon_code} is taken.")


class CouponNotRedeemable(InvalidInput):
    """The coupon cannot be used now, by this customer, for this order. Carries every reason."""

    code = "coupon_not_redeemable"
    type = "coupon_not_redeemable"

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__(" ".join(reason.message for reason in reasons))
        self.reasons = tuple(reasons)


class CodesWouldCollide(Conflict):
    """Two coupons have codes that differ only by case, so case must go on to matter."""

    code = "codes_would_collide"

    def __init__(self, coupon_code: str) -> None:
        super().__init__(
            f"Several coupons are called {coupon_code} when case does not matter.",
            field="codes_are_case_sensitive",
        )
