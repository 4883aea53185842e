"""What coupons can refuse, as facts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from core.errors import AlreadyExists, Conflict, InvalidBody, InvalidInput, NotFound
from core.timestamps import format_time
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


class ReservationNotFound(NotFound):
    """There is no reservation with the id that the caller may use, or it was released or replaced."""

    code = "reservation_not_found"

    def __init__(self, reservation_id: str) -> None:
        super().__init__(
            f"There is no reservation {reservation_id}: it is unknown, or was released or replaced."
        )


class ReservationConfirmed(Conflict):
    """The reservation has become a redemption, so it cannot be released."""

    code = "reservation_confirmed"

    def __init__(self, reservation_id: str) -> None:
        super().__init__(
            f"The reservation {reservation_id} is confirmed. Delete its redemption to give the use back."
        )


class ReservationOfCart(Conflict):
    """The reservation belongs to a cart, which is confirmed and released as a whole."""

    code = "reservation_of_cart"

    def __init__(self, reservation_id: str, cart_id: str) -> None:
        super().__init__(
            f"The reservation {reservation_id} belongs to the cart reservation {cart_id}:"
            " confirm or release that."
        )


class TooManyReservations(Conflict):
    """The customer holds as many live reservations as a customer can."""

    code = "too_many_reservations"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"A customer can hold {most} reservations at the same time."
            " Confirm or release one, or wait until one is over."
        )


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


class CartNotRedeemable(InvalidInput):
    """Coupons of a cart cannot be used, so none of them was. Carries every reason of each code."""

    code = "coupon_not_redeemable"
    type = "coupon_not_redeemable"

    def __init__(self, reasons: Mapping[str, Sequence[Reason]]) -> None:
        super().__init__(
            " ".join(f"{code}: {reason.message}" for code, given in reasons.items() for reason in given)
        )
        self.reasons = dict(reasons)


class CampaignNotFound(NotFound):
    """No campaign has the id."""

    code = "campaign_not_found"

    def __init__(self, campaign_id: str) -> None:
        super().__init__(f"There is no coupon campaign {campaign_id}.")


class CampaignIncomplete(Conflict):
    """Not all codes of the campaign have been made yet."""

    code = "campaign_incomplete"

    def __init__(self, campaign_id: str, made: int, wanted: int) -> None:
        super().__init__(
            f"The campaign {campaign_id} has {made:,} of {wanted:,} codes so far. Try again in a moment."
        )


class CampaignExported(Conflict):
    """The codes of the campaign have been handed out before."""

    code = "campaign_exported"

    def __init__(self, campaign_id: str, at: datetime) -> None:
        super().__init__(
            f"The codes of the campaign {campaign_id} were exported at {format_time(at)}, and are handed out"
            " once. Readers of all coupons still find each of them in the list of coupons."
        )


class TermsOfCampaign(Conflict):
    """The coupon's terms are those of a campaign, so they cannot be changed for only this code."""

    code = "terms_of_campaign"

    def __init__(self, coupon_code: str) -> None:
        super().__init__(
            f"The coupon {coupon_code} has the terms of a campaign. Deactivate the campaign, delete the"
            " coupon, or make another one.",
            field="code",
        )


class CodesWouldCollide(Conflict):
    """Two coupons have codes that differ only by case, so case must go on to matter."""

    code = "codes_would_collide"

    def __init__(self, coupon_code: str) -> None:
        super().__init__(
            f"Several coupons are called {coupon_code} when case does not matter.",
            field="codes_are_case_sensitive",
        )
