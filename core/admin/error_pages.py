"""Error pages in the look of the admin. They need no database, so that they can say that it is away."""

from http import HTTPStatus

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

NOT_FOUND = _("There is no page at this address. It may have been deleted, or the address is incomplete.")
NOT_ALLOWED = _("You may not open this page. Ask an administrator for the permission if you need it.")
BAD_REQUEST = _("The server cannot read this request. It may be too large, or hold too many fields.")
FORGED = _(
    "Nothing was changed: this form was opened before you last logged in or out, or the browser sent no"
    " cookie. Go back, load the page again and send the form once more."
)
FAILED = _("Something went wrong, and was logged. Nothing of your last entry may have been saved.")


def is_admin(request: HttpRequest) -> bool:
    """Say whether the address is one of the admin's, whether or not there is a page."""
    return request.path_info.split("/", 2)[1] == "admin"


def error_page(
    title: str, message: str | Promise, status: HTTPStatus, headers: dict[str, str] | None = None
) -> HttpResponse:
    context = {
        "site_header": admin.site.site_header,
        "site_title": admin.site.site_title,
        "title": title,
        "message": message,
    }
    page = render_to_string("admin/error.html", context)
    return HttpResponse(page, status=status, headers={"Cache-Control": "no-store", **(headers or {})})


def not_found() -> HttpResponse:
    return error_page(gettext("Page not found"), NOT_FOUND, HTTPStatus.NOT_FOUND)


def not_allowed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say in the frame of the admin, whose menu leads on, why somebody who is logged in may not go there."""
    names = _names_of_page(request)
    if not reason and names:
        reason = gettext(
            "Your account has no permission for this page. It is about: {names}. Ask an administrator to put"
            " you into a group that has it."
        ).format(names=names)
    title = gettext("Not allowed")
    user = request.user
    if not (user.is_active and user.is_staff):
        return error_page(title, reason or NOT_ALLOWED, HTTPStatus.FORBIDDEN)
    context = {**admin.site.each_context(request), "title": title, "message": reason or NOT_ALLOWED}
    page = render_to_string("admin/error.html", context, request)
    return HttpResponse(page, status=HTTPStatus.FORBIDDEN, headers={"Cache-Control": "no-store"})


def _names_of_page(request: HttpRequest) -> str:
    """Return what the page lists or shows; empty for pages of no model."""
    page = getattr(request.resolver_match, "url_name", None) or ""
    for model in admin.site._registry:
        name = model._meta.model_name
        # Django names the page of passwords of staff after its own model of users.
        if page.startswith((f"{model._meta.app_label}_{name}_", f"auth_{name}_")):
            return str(model._meta.verbose_name_plural)
    return ""


def bad_request() -> HttpResponse:
    return error_page(gettext("Bad request"), BAD_REQUEST, HTTPStatus.BAD_REQUEST)


def failed() -> HttpResponse:
    return error_page(gettext("Something went wrong"), FAILED, HTTPStatus.INTERNAL_SERVER_ERROR)


def forged(request: HttpRequest, reason: str = "", **options: object) -> HttpResponse:
    """Answer a form without a valid token; see CSRF_FAILURE_VIEW in Django's documentation."""
    return error_page(gettext("The form was not accepted"), FORGED, HTTPStatus.FORBIDDEN)
