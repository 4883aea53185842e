from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_REDEEM
from core.api import parameters
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.errors import InvalidInput
from core.tenancy.callers import CallerKind, require_kind
from coupons.api.viewsets import CouponServiceViewSet
from coupons.money import CURRENCY_CODE
from coupons.orders import Buyer
from coupons.own_coupons import SOONEST_END_FIRST, coupons_of_customer
from coupons.representations import COUPONS_FOR_SHOPPERS, RepresentationAt
from segments.visibility import resolve

SITE_CODE = query_parameter("siteCode", "Only segments of this site count.")
CURRENCY = query_parameter("currency", "Leave out coupons that need an order in another currency.")
LEGAL_ENTITY_ID = query_parameter(
    "legalEntityId",
    "The legal entity that the customer acts for; needed by contacts of several, when the token names none.",
)


class OwnCouponViewSet(CouponServiceViewSet):
    tag = "Own Coupons"
    resource = COUPONS_FOR_SHOPPERS

    @operation(
        "GET-coupon-list-own-coupons",
        scopes=(COUPON_REDEEM,),
        parameters=(SITE_CODE, CURRENCY, LEGAL_ENTITY_ID),
        reads="list",
    )
    def list(self, request: Request, tenant: str) -> HttpResponse:
        """List the coupons that the customer could use now.

        They are listed for the customer (`listed`), and nothing but the order may still speak against them.
        The soonest end comes first. Needs a customer's token.
        """
        require_kind(self.caller, CallerKind.CUSTOMER)
        query = request.query_params
        buyer = Buyer.asked_for(self.caller, legal_entity_id=parameters.text(query, "legalEntityId"))
        found = resolve(buyer.shopper, at=self.at, site_code=parameters.text(query, "siteCode") or None)
        conditions = coupons_of_customer(buyer, found, currency=self.currency(), at=self.at)
        shown = RepresentationAt(COUPONS_FOR_SHOPPERS, self.at)
        return self.privately(self.page_response(shown, conditions, order=SOONEST_END_FIRST))

    def currency(self) -> str:
        currency = parameters.text(self.request.query_params, "currency")
        if currency and not CURRENCY_CODE.fullmatch(currency):
            raise InvalidInput(
                "currency is named by its three upper-case letters, such as EUR.", field="currency"
            )
        return currency
