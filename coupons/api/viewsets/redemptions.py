from datetime import datetime
from functools import partial

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_MANAGE, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF
from core.api import parameters
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.bodies import read_body
from core.json_types import JsonObject
from core.sql.composition import equals
from core.text import plain
from core.timestamps import parse_time
from coupons.api.viewsets import CUSTOMER_NUMBER, IDEMPOTENCY_KEY, CouponServiceViewSet
from coupons.attempts import counted_redemption, limited_attempt
from coupons.bodies import RedemptionBody, ValidationBody, read_validation
from coupons.eligibility import Verdict, assess_coupon
from coupons.eligibility_queries import read_coupon
from coupons.errors import RedemptionNotFound
from coupons.judgements import JUDGEMENTS
from coupons.operations import delete_redemption, redeem_coupon
from coupons.orders import Buyer
from coupons.representations import REDEMPTIONS
from coupons.results import CouponVerdict, ResourceLocation

AS_OF = query_parameter("asOf", "Judge as of this instant. Needs coupon.coupon_manage.")


class ValidationViewSet(CouponServiceViewSet):
    tag = "Coupon Validation"

    @operation(
        "POST-coupon-validate-coupon",
        scopes=(COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM, COUPON_MANAGE),
        parameters=(AS_OF,),
        request=ValidationBody,
        responses={200: CouponVerdict},
        errors=(429,),
    )
    def validate(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """Say whether a coupon can be redeemed.

        The response has the amount that the discount is computed on, and the discount; with items also
        those that the coupon applies to.
        """
        at = self.instant()
        body = read_validation(self.sent_body())
        buyer = Buyer.asked_for(
            self.caller, customer_number=body.customer_number, legal_entity_id=body.legal_entity_id
        )
        with limited_attempt(
            self.caller, request._request, code, customer_number=buyer.customer_number, at=self.at
        ):
            verdict = assess_coupon(
                tenant_id=self.caller.tenant.id, code=code, buyer=buyer, order=body, at=at
            )
            if at == self.at:
                JUDGEMENTS.add(verdict.coupon.restricted_as, verdict.reasons, at=at)
            verdict.require()
        return HttpResponse(
            verdict_document(verdict, has_items=body.items is not None), content_type="application/json"
        )

    def instant(self) -> datetime:
        """Return the instant to judge at: now, or `asOf` for those who manage coupons."""
        as_of = parameters.text(self.request.query_params, "asOf")
        if not as_of:
            return self.at
        self.require_scope(COUPON_MANAGE)
        return parse_time(as_of, field="asOf")


def verdict_document(verdict: Verdict, *, has_items: bool) -> bytes:
    """Return what the coupon applies to and grants; amounts are exact to the digit."""
    assert verdict.eligible_amount is not None
    assert verdict.discount is not None
    document: JsonObject = {
        "eligibleAmount": orjson.Fragment(plain(verdict.eligible_amount)),
        "discount": orjson.Fragment(plain(verdict.discount)),
    }
    if has_items:
        items = [
            {"id": item.id, "amount": orjson.Fragment(plain(item.amount))} for item in verdict.eligible_items
        ]
        document = {"eligibleItems": items, **document}
    return orjson.dumps(document)


class RedemptionViewSet(CouponServiceViewSet):
    tag = "Coupon Redemption"
    is_limited = False  # an order goes on
    resource = REDEMPTIONS
    created = ResourceLocation

    @operation("GET-coupon-list-coupon-redemptions", scopes=(COUPON_MANAGE,))
    def list(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """List the redemptions of a coupon."""
        coupon = read_coupon(self.caller.tenant.id, code)
        return self.page_response(REDEMPTIONS, [equals("redemption.coupon_id", coupon.id)])

    @operation(
        "POST-coupon-invalidate-coupon",
        scopes=(COUPON_REDEEM_ON_BEHALF, COUPON_REDEEM),
        parameters=(IDEMPOTENCY_KEY,),
        request=RedemptionBody,
        errors=(429,),
    )
    def create(self, request: Request, tenant: str, code: str) -> HttpResponse:
        """Redeem a coupon."""
        key = self.idempotency_key()
        body = read_body(RedemptionBody, self.sent_body())
        buyer = Buyer.asked_for(
            self.caller, customer_number=body.customer_number, legal_entity_id=body.legal_entity_id
        )
        attempt = limited_attempt(
            self.caller, request._request, code, customer_number=buyer.customer_number, at=self.at
        )
        with counted_redemption() as outcome, attempt:
            redeemed = redeem_coupon(
                tenant_id=self.caller.tenant.id,
                code=code,
                buyer=buyer,
                order=body,
                at=self.at,
                idempotency_key=key,
            )
            outcome.succeed([redeemed])
        return self.created_response(redeemed.id)

    @operation(
        "GET-coupon-retrieve-coupon-redemption",
        scopes=(COUPON_MANAGE, COUPON_REDEEM, COUPON_REDEEM_ON_BEHALF),
        parameters=(CUSTOMER_NUMBER,),
    )
    def retrieve(self, request: Request, tenant: str, code: str, redemption_id: str) -> HttpResponse:
        """Read a redemption.

        Callers who do not manage coupons read their own redemptions, or those of the customer named.
        """
        conditions = self.conditions_of_use("redemption", redemption_id, code)
        missing = partial(RedemptionNotFound, redemption_id)
        return self.privately(
            self.document_response(REDEMPTIONS, conditions, missing=missing, needs=("coupon",))
        )

    @operation("DELETE-coupon-remove-coupon-redemption", scopes=(COUPON_MANAGE,))
    def destroy(self, request: Request, tenant: str, code: str, redemption_id: str) -> HttpResponse:
        """Delete a redemption.

        The coupon can be redeemed once more.
        """
        delete_redemption(tenant_id=self.caller.tenant.id, code=code, redemption_id=redemption_id)
        return HttpResponse(status=204)
