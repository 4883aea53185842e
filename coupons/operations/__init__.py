from coupons.operations.bulk import CouponRow, upsert_coupons
from coupons.operations.coupons import (
    Revision,
    create_coupon,
    delete_coupon,
    find_coupon,
    locked_version,
    replace_coupon,
    revise_coupon,
    settings_of,
    stored_terms,
)
from coupons.operations.redemptions import Redeemed, delete_redemption, redeem_coupon
from coupons.operations.referrals import create_referral_coupon, referral_coupons
from coupons.operations.settings import change_settings

__all__ = [
    "CouponRow",
    "Redeemed",
    "Revision",
    "change_settings",
    "create_coupon",
    "create_referral_coupon",
    "delete_coupon",
    "delete_redemption",
    "find_coupon",
    "locked_version",
    "redeem_coupon",
    "referral_coupons",
    "replace_coupon",
    "revise_coupon",
    "settings_of",
    "stored_terms",
    "upsert_coupons",
]
