from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_REDEEM_ON_BEHALF
from core.api.schema import operation
from core.errors import NotAllowed, NotFound
from core.sql.composition import Sql, param, sql
from core.tenancy.callers import CallerKind
from coupons.api.viewsets import CouponServiceViewSet
from coupons.operations import create_referral_coupon
from coupons.representations import COUPONS, RepresentationAt


class ReferralCouponViewSet(CouponServiceViewSet):
    """Services may ask for every customer, customers for themselves."""

    tag = "Referral Coupon Management"
    resource = COUPONS

    @operation("GET-coupon-retrieve-referral-coupon", responses={200: COUPONS, 204: None})
    def retrieve(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Read a customer's referral coupon."""
        self.check_customer(customer_number)
        missing = NotFound(f"The customer {customer_number} has no referral coupon.")
        try:
            answer = self.document_response(
                RepresentationAt(COUPONS, self.at),
                [
                    self.tenant_condition("coupon"),
                    sql("coupon.issued_to = {customer}", customer=param(customer_number)),
                    Sql("coupon.is_referral AND NOT coupon.is_deleted"),
                ],
                missing=missing,
            )
        except NotFound as none:
            if none is not missing:
                raise
            return HttpResponse(status=204)
        return self.privately(answer)

    @operation("POST-coupon-create-referral-coupon-code", responses={200: COUPONS})
    def create(self, request: Request, tenant: str, customer_number: str) -> HttpResponse:
        """Make a customer's referral coupon, or return the one there is."""
        self.check_customer(customer_number)
        coupon = create_referral_coupon(
            tenant_id=self.caller.tenant.id, customer_number=customer_number, at=self.at
        )
        return self.document_response(
            RepresentationAt(COUPONS, self.at),
            [sql("coupon.id = {coupon}", coupon=param(coupon.pk))],
            missing=NotFound(f"The customer {customer_number} has no referral coupon."),
        )

    def check_customer(self, customer_number: str) -> None:
        """Raise NotAllowed when a shopper asks for somebody else."""
        if self.caller.kind is CallerKind.SERVICE or customer_number == self.own_customer_number():
            return
        if not self.has_scope(COUPON_REDEEM_ON_BEHALF):
            raise NotAllowed("The token belongs to another customer.")
