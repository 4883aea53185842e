from core.imports.resources import register
from coupons.imports.coupons import COUPON_FILES
from coupons.imports.redemptions import REDEMPTION_FILES

register(COUPON_FILES, REDEMPTION_FILES)
