from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import timezone, translation
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.actors import REQUEST_ID_KEY, Actor, ActorType, acting_as
from core.admin.error_pages import error_page, is_admin, not_allowed, not_found
from core.admin.faults import refusal_text
from core.tenancy.time_zones import zone_of_tenant
from core.unavailability import unavailable_from

ADVICE = _("Go back with your browser to keep what you entered, or load this page again.")


class ErrorPages:
    """Answers what a view for browsers raised with a page in the look of the admin.

    A lock wait, a deadlock or a lost database is 503 with `Retry-After`; forms and actions of the admin show
    a lock wait themselves, this is for every other page. Missing pages of the admin look the same with DEBUG.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if is_admin(request):
            if isinstance(exception, Http404):
                return not_found()
            if isinstance(exception, PermissionDenied):
                return not_allowed(request, str(exception))
        unavailable = unavailable_from(exception)
        if unavailable is None:
            return None
        return error_page(
            gettext("Not available at the moment"),
            f"{refusal_text(unavailable)} {ADVICE}",
            HTTPStatus.SERVICE_UNAVAILABLE,
            {"Retry-After": str(unavailable.retry_after)},
        )


class ReaderLanguage(LocaleMiddleware):
    """Speaks the language that the reader chose, or that their browser asks for, for this request only.

    Django's own leaves it to the thread, whose next request may be one of the API, which knows no reader.
    """

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with translation.override(settings.LANGUAGE_CODE):
            response = super().__call__(request)
            assert isinstance(response, HttpResponseBase)  # no part of the service is asynchronous
            return response


class SiteTime:
    """Shows times in the time zone of the default site of the user's tenant."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user if settings.SESSION_COOKIE_NAME in request.COOKIES else None
        with timezone.override(zone_of_tenant(getattr(user, "tenant_id", None))):
            return self.get_response(request)


class StaffActs:
    """Says who acts in a request of the admin: the member of staff who is logged in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with acting_as(self.actor_of(request)):
            return self.get_response(request)

    def actor_of(self, request: HttpRequest) -> Actor:
        source = {"source_type": "admin", "source_id": request.META.get(REQUEST_ID_KEY, "")}
        user = request.user if settings.SESSION_COOKIE_NAME in request.COOKIES else None
        if user is None or not user.is_authenticated:
            return Actor(ActorType.ANONYMOUS, "", **source)
        return Actor(ActorType.STAFF, user.get_username(), user.get_full_name(), **source)
