"""The addresses of the coupon service."""

from core.api.routes import describe_argument, route
from coupons.api.viewsets.campaigns import CampaignViewSet
from coupons.api.viewsets.carts import CartReservationViewSet, CartValidationViewSet
from coupons.api.viewsets.coupons import CouponViewSet
from coupons.api.viewsets.own_coupons import OwnCouponViewSet
from coupons.api.viewsets.redemptions import RedemptionViewSet, ValidationViewSet
from coupons.api.viewsets.referrals import ReferralCouponViewSet
from coupons.api.viewsets.reports import ReportViewSet
from coupons.api.viewsets.reservations import ReservationViewSet

COUPONS = "coupon/<tenant>/coupons"
COUPON = f"{COUPONS}/<code>"
REDEMPTIONS = f"{COUPON}/redemptions"
RESERVATIONS = f"{COUPON}/reservations"
RESERVATION = f"{RESERVATIONS}/<reservation_id>"
CART_RESERVATIONS = "coupon/<tenant>/cart-reservations"
CART_RESERVATION = f"{CART_RESERVATIONS}/<cart_id>"
CAMPAIGNS = "coupon/<tenant>/coupon-campaigns"
CAMPAIGN = f"{CAMPAIGNS}/<campaign_id>"
REFERRAL_COUPON = "coupon/<tenant>/referral-coupons/<customer_number>"

describe_argument("code", "The coupon's code.")
describe_argument("reservation_id", "The reservation's id.", wire_name="id")
describe_argument("campaign_id", "The campaign's id.", wire_name="id")
describe_argument("cart_id", "The cart reservation's id.", wire_name="id")
describe_argument("redemption_id", "The redemption's id.", wire_name="id")

urlpatterns = [
    route(COUPONS, CouponViewSet, get="list", post="create"),
    route(COUPON, CouponViewSet, get="retrieve", put="update", patch="partial_update", delete="destroy"),
    route(f"{COUPON}/validation", ValidationViewSet, post="validate"),
    route(REDEMPTIONS, RedemptionViewSet, get="list", post="create"),
    route(f"{REDEMPTIONS}/<redemption_id>", RedemptionViewSet, get="retrieve", delete="destroy"),
    route(RESERVATIONS, ReservationViewSet, get="list", post="create"),
    route(RESERVATION, ReservationViewSet, get="retrieve", delete="destroy"),
    route(f"{RESERVATION}/confirmation", ReservationViewSet, post="confirm"),
    route("coupon/<tenant>/cart-validations", CartValidationViewSet, post="validate"),
    route(CART_RESERVATIONS, CartReservationViewSet, post="create"),
    route(CART_RESERVATION, CartReservationViewSet, delete="destroy"),
    route(f"{CART_RESERVATION}/confirmation", CartReservationViewSet, post="confirm"),
    route("coupon/<tenant>/me/coupons", OwnCouponViewSet, get="list"),
    route(CAMPAIGNS, CampaignViewSet, get="list", post="create"),
    route(CAMPAIGN, CampaignViewSet, get="retrieve"),
    route(f"{CAMPAIGN}/deactivation", CampaignViewSet, post="deactivate"),
    route(f"{CAMPAIGN}/export", CampaignViewSet, post="export"),
    route("coupon/<tenant>/coupon-reports", ReportViewSet, get="retrieve"),
    route(REFERRAL_COUPON, ReferralCouponViewSet, get="retrieve", post="create"),
]
