from coupons.models.campaigns import CouponCampaign
from coupons.models.coupons import Coupon, CouponCategory, CouponSegment, DiscountCalculation, DiscountType
from coupons.models.reports import JudgementCount
from coupons.models.redemptions import Redemption
from coupons.models.reports import ReportCount
from coupons.models.redemptions import Reservation
from coupons.models.settings import CouponSettings

__all__ = [
    "Coupon",
    "CouponCampaign",
    "CouponCategory",
    "CouponSegment",
    "CouponSettings",
    "DiscountCalculation",
    "DiscountType",
    "JudgementCount",
    "Redemption",
    "ReportCount",
    "Reservation",
]
