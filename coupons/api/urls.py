from django.urls import path

from coupons.api.viewsets.coupons import CouponViewSet
from coupons.api.viewsets.redemptions import RedemptionViewSet, ValidationViewSet
from coupons.api.viewsets.referrals import ReferralCouponViewSet

urlpatterns = [
    path("coupon/<tenant>/coupons", CouponViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "coupon/<tenant>/coupons/<code>",
        CouponViewSet.as_view(
            {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}
        ),
    ),
    path("coupon/<tenant>/coupons/<code>/validation", ValidationViewSet.as_view({"post": "create"})),
    path(
        "coupon/<tenant>/coupons/<code>/redemptions",
        RedemptionViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "coupon/<tenant>/coupons/<code>/redemptions/<id>",
        RedemptionViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
    ),
    path(
        "coupon/<tenant>/referral-coupons/<customerNumber>",
        ReferralCouponViewSet.as_view({"get": "retrieve", "post": "create"}),
    ),
]
