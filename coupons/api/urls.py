"""The addresses of the coupon service."""

from core.api.routes import describe_argument, route
from coupons.api.viewsets.coupons import CouponViewSet
from coupons.api.viewsets.redemptions import RedemptionViewSet, ValidationViewSet
from coupons.api.viewsets.referrals import ReferralCouponViewSet

COUPONS = "coupon/<tenant>/coupons"
COUPON = f"{COUPONS}/<code>"
REDEMPTIONS = f"{COUPON}/redemptions"
REFERRAL_COUPON = "coupon/<tenant>/referral-coupons/<customer_number>"

describe_argument("code", "The coupon's code.")
describe_argument("redemption_id", "The redemption's id.", wire_name="id")

urlpatterns = [
    route(COUPONS, CouponViewSet, get="list", post="create"),
    route(COUPON, CouponViewSet, get="retrieve", put="update", patch="partial_update", delete="destroy"),
    route(f"{COUPON}/validation", ValidationViewSet, post="validate"),
    route(REDEMPTIONS, RedemptionViewSet, get="list", post="create"),
    route(f"{REDEMPTIONS}/<redemption_id>", RedemptionViewSet, get="retrieve", delete="destroy"),
    route(REFERRAL_COUPON, ReferralCouponViewSet, get="retrieve", post="create"),
]
