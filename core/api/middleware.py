from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

BROWSER_PATHS = ("/admin/", "/static/")


class ApiPathMiddleware:
    """Accepts a trailing slash on every address of the API; the admin keeps its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if path.endswith("/") and path != "/" and not path.startswith(BROWSER_PATHS):
            request.path_info = path.rstrip("/")
        return self.get_response(request)
