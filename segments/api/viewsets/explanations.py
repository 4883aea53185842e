from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_READ
from core.api import parameters
from core.api.json import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.errors import InvalidInput
from segments.api.viewsets.base import AS_OF, LEGAL_ENTITY_ID, SITE_CODE, SegmentServiceViewSet
from segments.customer_context import Shopper
from segments.explanations import Explanation, Question, explain, explainers

TYPES = ("product", "category")


class ExplanationViewSet(SegmentServiceViewSet):
    """Why customers see what they see."""

    tag = "Explanations"
    has_page_parameters = False

    @operation(
        "GET-customer-segment-explain",
        scopes=(SEGMENT_READ,),
        parameters=(
            query_parameter("customerId", "The customer's number.", required=True),
            LEGAL_ENTITY_ID,
            SITE_CODE,
            query_parameter("product", "The id of the product that is asked about."),
            query_parameter("category", "The id of the category that is asked about."),
            query_parameter(
                "coupon", "The code of the coupon that is asked about; needs coupon.coupon_read."
            ),
            AS_OF,
            parameters.ACCEPT_LANGUAGE,
        ),
        responses={200: Explanation},
        errors=(404,),
    )
    def explain(self, request: Request, tenant: str) -> HttpResponse:
        """Explain why a customer sees an item, or does not.

        Name one product, category or coupon. The response lists the links from the customer to it:
        membership, segment, assignment, the line of published categories, the product.
        """
        query = request.query_params
        others = explainers()
        named = {name: value for name in (*TYPES, *others) if (value := parameters.text(query, name))}
        if len(named) != 1:
            raise InvalidInput("Name one of product, category and coupon.", field="product")
        [(kind, external_id)] = named.items()
        if kind in others:
            self.require_scope(others[kind].scope)
        customer_number = parameters.text(query, "customerId")
        if not customer_number:
            raise InvalidInput("customerId is missing; name the customer's number.", field="customerId")
        _, at = self.previewed()
        question = Question(
            Shopper(
                self.caller.tenant.id,
                customer_number=customer_number,
                named_legal_entity=parameters.text(query, "legalEntityId"),
            ),
            kind,
            external_id,
            parameters.text(query, "siteCode"),
            at,
            self.languages(),
        )
        return json_response(explain(question))
