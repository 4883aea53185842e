"""Why a customer may or may not use a coupon, as part of the explanations of segments."""

from accounts.identity.scopes import COUPON_READ
from core.sql.composition import bind
from coupons.eligibility import assess_coupon
from coupons.orders import Buyer
from coupons.reasons import ReasonType
from segments.explanations import Explained, Explainer, Question, register_explainer


def explain(question: Question) -> Explained:
    """Return what eligibility says without an order; raise CouponNotFound.

    That no segment counts is what the paths through the coupon's segments show.
    """
    verdict = assess_coupon(
        tenant_id=question.shopper.tenant_id,
        code=question.id,
        buyer=Buyer(question.shopper, question.shopper.customer_number),
        order=None,
        at=question.at,
    )
    segments = bind(
        "ARRAY(SELECT segment_id FROM coupons_couponsegment"
        " WHERE coupon_id = {coupon} AND segment_id IS NOT NULL)",
        coupon=verdict.coupon.id,
    )
    return Explained(
        is_usable=not verdict.reasons,
        reasons=[reason.type for reason in verdict.reasons if reason.type is not ReasonType.SEGMENT],
        segments=segments if verdict.coupon.is_segment_restricted else None,
    )


register_explainer(Explainer("coupon", COUPON_READ, explain))
