import msgspec
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_READ
from core.api import parameters
from core.api.parameters import query_parameter
from core.api.schema import operation
from segments.api.viewsets.base import SegmentServiceViewSet
from segments.findings import MOST_OBJECTS, SHOWN_OBJECTS, FindingResult, look_for


class FindingViewSet(SegmentServiceViewSet):
    """What needs a merchandiser's attention."""

    tag = "Findings"
    has_page_parameters = False

    @operation(
        "GET-customer-segment-retrieve-findings",
        scopes=(SEGMENT_READ,),
        parameters=(
            query_parameter("name", "Only findings of these names, separated by commas."),
            query_parameter(
                "limit",
                f"How many objects of each finding are shown: {SHOWN_OBJECTS} when absent,"
                f" {MOST_OBJECTS} at most.",
                type=int,
            ),
            parameters.ACCEPT_LANGUAGE,
        ),
        responses={200: [FindingResult]},
    )
    def look(self, request: Request, tenant: str) -> HttpResponse:
        """List what needs attention.

        Every finding is listed, with a count of 0 when there is nothing. Those about coupons need
        coupon.coupon_read.
        """
        query = request.query_params
        results = look_for(
            tenant_id=self.caller.tenant.id,
            at=self.at,
            names=parameters.words(query, "name"),
            scopes=self.caller.scopes,
            most=parameters.whole_number(query, "limit", default=SHOWN_OBJECTS, least=0, most=MOST_OBJECTS),
            languages=self.languages(),
        )
        return HttpResponse(msgspec.json.encode(results), content_type="application/json")
