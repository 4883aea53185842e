import re
from datetime import date

from django.http import HttpResponse
from django.urls import reverse
from rest_framework.request import Request

from core.api.json import json_response
from core.api.parameters import query_parameter
from core.api.schema import operation
from core.errors import InvalidInput
from events.api.viewsets import COUNT, MANAGE, READ, TEXT, WebhookServiceViewSet
from events.models import MonthlyCount

NO_LIMIT = 2_147_483_647
USUAL_MONTHS = 12
MOST_MONTHS = 120
MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
STATISTICS = {
    "type": "object",
    "properties": {
        "monthStatistics": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"statisticsMonth": TEXT, "succesfullySentWebhooks": COUNT},
            },
        },
        "webhooksLimit": {**COUNT, "description": f"There is no limit: {NO_LIMIT}."},
    },
}
ACCESS = {
    "type": "object",
    "properties": {
        "url": {**TEXT, "description": "The admin's page of webhooks, where staff log in."},
        "token": {**TEXT, "description": "Empty: there is no login by a token."},
    },
}


class StatisticsViewSet(WebhookServiceViewSet):
    """How much was delivered, and where staff see it."""

    tag = "Webhook Statistics"

    @operation(
        "GET-webhook-retrieve-statistics",
        scopes=READ,
        parameters=(
            query_parameter("fromYearMonth", "The first month, such as 2026-01."),
            query_parameter("toYearMonth", "The last month; absent: the present one."),
        ),
        responses={200: STATISTICS},
    )
    def read_statistics(self, request: Request, tenant: str) -> HttpResponse:
        """Read how many events were delivered in each month, the latest first.

        Without `fromYearMonth` the last twelve months.
        """
        query = request.query_params
        last = month_of(query.get("toYearMonth"), "toYearMonth") or number_of(self.at.date())
        first = month_of(query.get("fromYearMonth"), "fromYearMonth")
        if first is None:
            first = last - USUAL_MONTHS + 1
        if first > last:
            raise InvalidInput("fromYearMonth must not be later than toYearMonth.", field="fromYearMonth")
        if last - first >= MOST_MONTHS:
            raise InvalidInput(f"Ask for at most {MOST_MONTHS} months.", field="fromYearMonth")
        months = [name_of(number) for number in range(last, first - 1, -1)]
        counts = dict(
            MonthlyCount.objects.filter(
                tenant=self.caller.tenant.id, month__gte=months[-1], month__lte=months[0]
            ).values_list("month", "delivered")
        )
        return json_response(
            {
                "monthStatistics": [
                    {"statisticsMonth": month, "succesfullySentWebhooks": counts.get(month, 0)}
                    for month in months
                ],
                "webhooksLimit": NO_LIMIT,
            }
        )

    @operation("GET-webhook-access-tenant-svix", scopes=MANAGE, responses={200: ACCESS})
    def dashboard_access(self, request: Request, tenant: str) -> HttpResponse:
        """Read the address of the admin's page of webhooks."""
        url = request._request.build_absolute_uri(reverse("admin:events_delivery_changelist"))
        return json_response({"url": url, "token": ""})


def month_of(text: str | None, name: str) -> int | None:
    """Return the number of a month; None when there is none."""
    text = (text or "").strip()
    if not text:
        return None
    found = MONTH.fullmatch(text)
    if found is None or found[1] == "0000":
        raise InvalidInput(f"{name} is a month such as 2026-01.", field=name)
    return int(found[1]) * 12 + int(found[2]) - 1


def number_of(day: date) -> int:
    return day.year * 12 + day.month - 1


def name_of(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
