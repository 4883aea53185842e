"""The error bodies of the coupon service."""

from http import HTTPStatus

from core.api.error_bodies import ErrorFormat, TypedError, typed_error_body
from core.errors import DomainError
from core.json_types import JsonObject
from coupons.errors import CartNotRedeemable, CouponNotRedeemable


def coupon_error_body(error: DomainError, status: HTTPStatus) -> JsonObject:
    """The typed body; `details` lists every broken rule and every reason of a refusal, of a cart by code."""
    body = typed_error_body(error, status)
    if isinstance(error, CouponNotRedeemable):
        body["details"] = [{"type": reason.type.value, "message": reason.message} for reason in error.reasons]
    if isinstance(error, CartNotRedeemable):
        body["details"] = [
            {"field": code, "type": reason.type.value, "message": reason.message}
            for code, reasons in error.reasons.items()
            for reason in reasons
        ]
    return body


COUPON_ERRORS = ErrorFormat(coupon_error_body, TypedError)
