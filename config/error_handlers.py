"""What Django calls for requests without a view, or whose view failed: a page for the admin, else JSON."""

from django.http import HttpRequest, HttpResponse

from core.admin import error_pages
from core.api import errors


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if error_pages.is_admin(request):
        return error_pages.not_found()
    return errors.unknown_path_response(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if error_pages.is_admin(request):
        return error_pages.bad_request()
    return errors.bad_request_response(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    return error_pages.failed() if error_pages.is_admin(request) else errors.failure_response(request)
