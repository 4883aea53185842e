"""The project's addresses, and one operation that does nothing: what every request costs."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from accounts.identity.scopes import SEGMENT_READ
from config.urls import handler400, handler404, handler500
from config.urls import urlpatterns as project_patterns
from core.api.error_schemas import SegmentError
from core.api.schema import operation
from core.api.viewsets import ContractViewSet

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]


class NothingViewSet(ContractViewSet):
    """Checks token, tenant and scopes like every other resource, and answers nothing."""

    @operation(
        "GET-bench-nothing",
        summary="Answer nothing",
        tags=["Benchmark"],
        scopes=[SEGMENT_READ],
        responses={200: None},
        error_schema=SegmentError,
    )
    def nothing(self, request: HttpRequest, tenant: str, segment: str) -> HttpResponse:
        return HttpResponse(b"")


urlpatterns = [
    *project_patterns[:1],  # behind the addresses of the segments, like one of them
    path("customer-segment/<tenant>/segments/<segment>/nothing", NothingViewSet.as_view({"get": "nothing"})),
    *project_patterns[1:],
]
