from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request

from accounts.identity.scopes import SEGMENT_READ
from core.api import parameters
from core.api.json import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.timestamps import parse_time
from segments.api.viewsets.base import SITE_CODE, SegmentServiceViewSet
from segments.calendar import Calendar, calendar_of, icalendar, range_of

PARAMETERS = (
    query_parameter("from", "The first instant of the range; now when absent."),
    query_parameter("to", "The last instant of the range; 14 days after from when absent."),
    SITE_CODE,
    parameters.ACCEPT_LANGUAGE,
)


class CalendarViewSet(SegmentServiceViewSet):
    """What starts and ends when."""

    tag = "Calendar"
    has_page_parameters = False

    @operation(
        "GET-customer-segment-retrieve-calendar",
        scopes=(SEGMENT_READ,),
        parameters=PARAMETERS,
        responses={200: Calendar},
    )
    def read(self, request: Request, tenant: str) -> HttpResponse:
        """Read which segments and coupons start, end and count in a range of time.

        Coupons need coupon.coupon_read. At most 400 days, and 1000 entries of a type.
        """
        return json_response(self.calendar())

    @operation(
        "GET-customer-segment-export-calendar",
        scopes=(SEGMENT_READ,),
        parameters=PARAMETERS,
        responses={(200, "text/calendar"): OpenApiTypes.STR},
    )
    def export(self, request: Request, tenant: str) -> HttpResponse:
        """Read the same as iCalendar, with an event for each start and end."""
        languages = self.languages()
        preferred = [*(languages.accepted or ()), languages.default]
        text = icalendar(self.calendar(), tenant=self.caller.tenant.name, languages=preferred)
        return HttpResponse(text, content_type="text/calendar; charset=utf-8")

    def calendar(self) -> Calendar:
        query = self.request.query_params
        since, until = (
            parse_time(value, field=name) if (value := parameters.text(query, name)) else None
            for name in ("from", "to")
        )
        range_ = range_of(
            self.caller.tenant.id,
            at=self.at,
            since=since,
            until=until,
            site_code=parameters.text(query, "siteCode"),
        )
        return calendar_of(range_, scopes=self.caller.scopes, languages=self.languages())
