"""The error bodies of the coupon service."""

from http import HTTPStatus
from typing import Any

from core.api.error_bodies import ErrorFormat, TypedError, typed_error_body
from core.errors import DomainError
from coupons.errors import CouponNotRedeemable


def coupon_error_body(error: DomainError, status: HTTPStatus) -> dict[str, Any]:
    """The typed body; `details` lists every broken rule and every reason of a refusal."""
    body = typed_error_body(error, status)
    if isinstance(error, CouponNotRedeemable):
        body["details"] = [{"type": reason.type.value, "message": reason.message} for reason in error.reasons]
    return body


COUPON_ERRORS = ErrorFormat(coupon_error_body, TypedError)
