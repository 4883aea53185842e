"""The project's addresses, and one operation that does nothing: what every request costs."""

from django.http import HttpRequest, HttpResponse

from accounts.identity.scopes import SEGMENT_READ
from config.urls import handler400, handler404, handler500
from config.urls import urlpatterns as project_patterns
from core.api.routes import route
from core.api.schema import operation
from core.api.viewsets import ContractViewSet

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]


class NothingViewSet(ContractViewSet):
    """Checks token, tenant and scopes like every other resource, and answers nothing."""

    tag = "Benchmark"

    @operation("GET-bench-nothing", scopes=[SEGMENT_READ], responses={200: None})
    def nothing(self, request: HttpRequest, tenant: str, segment_id: str) -> HttpResponse:
        """Answer nothing."""
        return HttpResponse(b"")


urlpatterns = [
    *project_patterns[:1],  # behind the addresses of the segments, like one of them
    route("customer-segment/<tenant>/segments/<segment_id>/nothing", NothingViewSet, get="nothing"),
    *project_patterns[1:],
]
