from coupons.operations.bulk import upsert_coupons
from coupons.operations.campaigns import (
    create_campaign,
    deactivate_campaign,
    end_campaign,
    export_codes,
    find_campaign,
    generate_codes,
    queue_codes,
)
from coupons.operations.carts import ReservedCart, confirm_cart, release_cart, reserve_cart
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
from coupons.operations.reservations import (
    Reserved,
    confirm_reservation,
    release_reservation,
    reserve_coupon,
)
from coupons.operations.settings import change_settings

__all__ = [
    "accept_any",
    "Redeemed",
    "Reserved",
    "ReservedCart",
    "change_settings",
    "confirm_cart",
    "confirm_reservation",
    "create_campaign",
    "create_coupon",
    "create_referral_coupon",
    "deactivate_campaign",
    "delete_coupon",
    "delete_redemption",
    "end_campaign",
    "export_codes",
    "find_campaign",
    "find_coupon",
    "generate_codes",
    "locked_version",
    "queue_codes",
    "redeem_coupon",
    "referral_coupons",
    "release_cart",
    "release_reservation",
    "replace_coupon",
    "reserve_cart",
    "reserve_coupon",
    "revise_coupon",
    "settings_of",
    "upsert_coupons",
]
