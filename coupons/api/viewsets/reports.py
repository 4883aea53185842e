from datetime import date, timedelta

import orjson
from django.http import HttpResponse
from rest_framework.request import Request

from accounts.identity.scopes import COUPON_MANAGE
from core.api import parameters
from core.api.json import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.errors import InvalidInput
from coupons.api.viewsets import CouponServiceViewSet
from coupons.reports import Grouping, report_documents
from coupons.results import CouponReport

DAYS = 30
FROM = query_parameter("from", "The first day (UTC), as in 2026-03-04; 30 days before `until` when absent.")
UNTIL = query_parameter("until", "The last day (UTC); today when absent.")
ONLY = query_parameter("id", "With groupBy: only the campaign or segment of this id.")
GROUP_BY = query_parameter("groupBy", "campaign or segment; without it all coupons are one group.")


class ReportViewSet(CouponServiceViewSet):
    tag = "Coupon Reports"
    has_page_parameters = False

    @operation(
        "GET-coupon-retrieve-report",
        scopes=(COUPON_MANAGE,),
        parameters=(FROM, UNTIL, GROUP_BY, ONLY),
        responses={200: CouponReport},
        reads="one",
    )
    def retrieve(self, request: Request, tenant: str) -> HttpResponse:
        """Report on coupons by day, and by campaign or segment.

        What was issued, redeemed and given as a discount, from the coupons and redemptions as they are now;
        and how often coupons were found valid or refused, by validations of coupons and carts.
        """
        last = self.day("until", default=self.at.date())
        first = self.day("from", default=last - min(timedelta(DAYS - 1), last - date.min))
        by, only = self.grouping(), parameters.text(request.query_params, "id")
        if only and not by:
            raise InvalidInput("Send id together with groupBy=campaign or groupBy=segment.", field="id")
        lines = report_documents(tenant_id=self.caller.tenant.id, first=first, last=last, by=by, only=only)
        document = {
            "from": first.isoformat(),
            "until": last.isoformat(),
            "lines": orjson.Fragment(f"[{','.join(lines)}]"),
        }
        return json_response(document)

    def day(self, name: str, *, default: date) -> date:
        text = parameters.text(self.request.query_params, name)
        if not text:
            return default
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise InvalidInput(
                f"{name} is a day such as 2026-03-04, not {text[:40]!r}.", field=name
            ) from None

    def grouping(self) -> Grouping:
        text = parameters.text(self.request.query_params, "groupBy")
        try:
            return Grouping(text)
        except ValueError:
            raise InvalidInput(
                f"groupBy is campaign or segment, not {text[:40]!r}.", field="groupBy"
            ) from None
