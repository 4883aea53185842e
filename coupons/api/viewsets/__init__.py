"""What all resources of this service share: the customer of a request."""

from django.http import HttpResponse

from accounts.identity.scopes import COUPON_MANAGE
from core.api import parameters
from core.api.conditional import private_response_from
from core.api.parameters import header_parameter, query_parameter
from core.api.viewsets import ContractViewSet
from core.errors import InvalidBody, Problem
from core.sql.composition import Sql, equals, identifier, sql
from coupons.api.error_bodies import COUPON_ERRORS
from coupons.eligibility_queries import has_code
from coupons.orders import customer_asked_for

CUSTOMER_NUMBER = query_parameter(
    "customerNumber",
    "The id of the customer. Another than the caller needs coupon.coupon_redeem_on_behalf.",
)
IDEMPOTENCY_KEY = header_parameter(
    "Idempotency-Key", "Repeating a request with the same key counts once and gets the first answer."
)
SHOW_DELETED = query_parameter("showDeleted", "Return deleted coupons too.", type=bool)


class CouponServiceViewSet(ContractViewSet):
    """A resource of the coupon service."""

    error_format = COUPON_ERRORS
    default_page_size = 16
    counts_by_parameter = True
    count_header = "Items-Count"

    def missing_body(self) -> InvalidBody:
        return InvalidBody([Problem("", "missing_payload", "The request has no body.")])

    def own_customer_number(self) -> str:
        return self.caller.customer.external_id if self.caller.customer else ""

    def conditions_of_use(self, alias: str, external_id: str, code: str) -> list[Sql]:
        """Return the conditions of one redemption or reservation of a coupon that the caller may read.

        Callers who do not manage coupons read those of their own customer, or of the one they name; raises as
        `customer_asked_for` does.
        """
        named = parameters.text(self.request.query_params, "customerNumber")
        customer_number = customer_asked_for(self.caller, named)
        conditions = [
            self.tenant_condition(alias),
            equals(f"{alias}.external_id", external_id),
            has_code(self.caller.tenant.id, code),
        ]
        if named or not self.has_scope(COUPON_MANAGE):
            number = equals(f"{alias}.customer_number", customer_number)
            # nobody's: an anonymous caller has no number, and anonymous redemptions have none either
            conditions += [number, sql("{column} <> ''", column=identifier(alias, "customer_number"))]
        return conditions

    def privately(self, response: HttpResponse) -> HttpResponse:
        """Return a response that belongs to one customer, or 304 when the client has it already."""
        return private_response_from(self.request, response)

    def tenant_condition(self, alias: str) -> Sql:
        return equals(f"{alias}.tenant_id", self.caller.tenant.id)
