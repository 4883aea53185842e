from coupons.operations.bulk import upsert_coupons
from coupons.operations.coupons import (
    accept_any,
    create_coupon,
    delete_coupon,
    find_coupon,
    locked_version,
    replace_coupon,
    revise_coupon,
    settings_of,
)
from coupons.operations.redemptions import Redeemed, delete_redemption, redeem_coupon
from coupons.operations.referrals import create_referral_coupon, referral_coupons
from coupons.operations.settings import change_settings

__all__ = [
    "accept_any",
    "Redeemed",
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
    "upsert_coupons",
]
