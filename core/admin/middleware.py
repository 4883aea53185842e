from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from core.unavailability import unavailable_from


class UnavailablePage:
    """Answers a page whose view met a lock wait, a deadlock or a lost database with 503 and `Retry-After`.

    Forms and actions of the admin show a lock wait themselves; this is for every other page. The page needs
    no database.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        unavailable = unavailable_from(exception)
        if unavailable is None:
            return None
        page = render_to_string("admin/unavailable.html", {"message": unavailable.message})
        headers = {"Retry-After": str(unavailable.retry_after), "Cache-Control": "no-store"}
        return HttpResponse(page, status=503, headers=headers)
