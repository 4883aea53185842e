"""The error bodies of the coupon service, and which field of the wire a term of a coupon is."""

from http import HTTPStatus
from typing import Any

from core.api.error_bodies import ErrorFormat, TypedError, typed_error_body
from core.errors import DomainError
from coupons.errors import CouponNotRedeemable, InvalidTerms

WIRE_FIELDS = {
    "name": "name",
    "discount_percentage": "discountPercentage",
    "discount_absolute": "discountAbsolute",
    "allows_anonymous": "allowAnonymous",
    "max_redemptions_per_customer": "maxRedemptionsPerCustomer",
    "is_category_restricted": "categoryRestricted",
    "min_order_value": "restrictions.minOrderValue",
    "valid_for": "restrictions.validFor",
    "valid_to": "restrictions.validUntil",
    "segments": "restrictions.segments",
    "included_categories": "restrictions.includedCategories",
    "excluded_categories": "restrictions.excludedCategories",
}


def coupon_error_body(error: DomainError, status: HTTPStatus) -> dict[str, Any]:
    """The typed body; `details` lists every broken rule and every reason of a refusal."""
    body = typed_error_body(error, status)
    match error:
        case CouponNotRedeemable():
            body["details"] = [
                {"type": reason.type.value, "message": reason.message} for reason in error.reasons
            ]
        case InvalidTerms():
            body["details"] = [
                {"field": WIRE_FIELDS[problem.field], "type": problem.code, "message": problem.message}
                for problem in error.problems
            ]
    return body


COUPON_ERRORS = ErrorFormat(coupon_error_body, TypedError)
