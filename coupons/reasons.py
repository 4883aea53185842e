"""Why a coupon cannot be used."""

from dataclasses import dataclass
from enum import StrEnum

from coupons.money import Money


class ReasonType(StrEnum):
    """Why a coupon cannot be used; the values are the wire's."""

    NOT_STARTED = "coupon_not_started"
    EXPIRED = "coupon_expired"
    USED_UP = "coupon_used_up"
    CUSTOMER_LIMIT = "customer_limit_reached"
    LEGAL_ENTITY_LIMIT = "legal_entity_limit_reached"
    ANONYMOUS = "anonymous_not_allowed"
    CUSTOMER = "customer_not_eligible"
    SEGMENT = "segment_membership_missing"
    NO_ITEM = "no_eligible_item"
    MIN_ORDER_VALUE = "min_order_value_not_reached"
    CURRENCY = "currency_mismatch"
    DISCOUNT = "discount_too_high"
    # of one code among several on a cart
    UNKNOWN = "coupon_not_found"
    TOO_MANY = "too_many_coupons"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal; on a cart with what would remove it, and what is missing to that."""

    type: ReasonType
    message: str
    remedy: str = ""
    missing: Money | None = None
