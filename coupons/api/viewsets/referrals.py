from functools import partial

from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_MANAGE, COUPON_READ, COUPON_REDEEM_ON_BEHALF
from core.api.schema import operation
from core.errors import NotFound
from core.sql.composition import Sql, equals
from coupons.api.viewsets import CouponServiceViewSet
from coupons.operations import create_referral_coupon
from coupons.representations import COUPONS, RepresentationAt


class ReferralCouponViewSet(CouponServiceViewSet):
    """Customers need no scope for their own one.

    For another customer reading needs coupon.coupon_read, creating coupon.coupon_manage; or, for both,
    coupon.coupon_redeem_on_behalf.
    """

    tag = "Referral Coupon Management"
    resource = COUPONS

    @operation("GET-coupon-retrieve-referral-coupon", responses={200: COUPONS, 204: None})
    def retrieve(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Read a customer's referral coupon."""
        self.check_customer(customer_number, COUPON_READ, COUPON_REDEEM_ON_BEHALF)
        conditions = [
            self.tenant_condition("coupon"),
            equals("coupon.issued_to", customer_number),
            Sql("coupon.is_referral AND NOT coupon.is_deleted"),
        ]
        try:
            answer = self.document_response(RepresentationAt(COUPONS, self.at), conditions, missing=NotFound)
        except NotFound:
            return HttpResponse(status=204)
        return self.privately(answer)

    @operation("POST-coupon-create-referral-coupon-code", responses={200: COUPONS})
    def create(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Create a customer's referral coupon, or return the one that exists."""
        self.check_customer(customer_number, COUPON_MANAGE, COUPON_REDEEM_ON_BEHALF)
        coupon = create_referral_coupon(
            tenant_id=self.caller.tenant.id, customer_number=customer_number, at=self.at
        )
        return self.document_response(
            RepresentationAt(COUPONS, self.at),
            [equals("coupon.id", coupon.pk)],
            missing=partial(NotFound, f"The customer {customer_number} has no referral coupon."),
        )

    def check_customer(self, customer_number: str, *scopes: str) -> None:
        """Raise MissingScope when the caller asks for somebody else without one of the scopes."""
        if customer_number != self.own_customer_number():
            self.require_scope(*scopes)
