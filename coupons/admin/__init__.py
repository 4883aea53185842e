from core.admin.faults import register_faults
from coupons.admin.campaigns import CouponCampaignAdmin
from coupons.admin.coupons import CouponAdmin
from coupons.admin.faults import FAULTS
from coupons.admin.redemptions import RedemptionAdmin
from coupons.admin.reservations import ReservationAdmin
from coupons.admin.segment_record import coupon_numbers
from coupons.admin.settings import CouponSettingsAdmin
from coupons.admin.start import redeemable, redemptions

__all__ = [
    "CouponAdmin",
    "CouponCampaignAdmin",
    "CouponSettingsAdmin",
    "RedemptionAdmin",
    "ReservationAdmin",
    "coupon_numbers",
    "redeemable",
    "redemptions",
]

register_faults(*FAULTS)
