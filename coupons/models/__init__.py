from coupons.models.campaigns import CouponCampaign
from coupons.models.coupons import Coupon, CouponCategory, CouponSegment, DiscountCalculation, DiscountType
from coupons.models.redemptions import Redemption, Reservation
from coupons.models.reports import JudgementCount, ReportAddition, ReportCount
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
    "ReportAddition",
    "ReportCount",
    "Reservation",
]
