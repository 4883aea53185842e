"""The admin site: its name, the order of its index, and the search behind every autocomplete field."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from core.admin.actions import delete_selected
from core.admin.keys import key_of
from core.admin.tenants import sees_all_tenants
from core.errors import Overloaded

NO_PAGES_TO_RETURN_TO = ("login", "logout", "autocomplete", "jsi18n")


class TenantAutocompleteView(AutocompleteJsonView):
    """Finds rows for an autocomplete field; `tenant` narrows what a superuser finds to the form's tenant."""

    def get_queryset(self) -> QuerySet:
        if "\0" in self.term:  # PostgreSQL has no text with it, so nothing can be found
            return self.model_admin.get_queryset(self.request).none()
        rows = super().get_queryset()
        model_admin: Any = self.model_admin
        tenant_id = key_of(self.request.GET.get("tenant", ""))
        return rows if tenant_id is None else model_admin.limited(rows, tenant_id)

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        model_admin: Any = self.model_admin
        option = super().serialize_result(obj, to_field_name)  # type: ignore[misc]
        return {**option, "text": model_admin.autocomplete_text(obj)}


def overload_as_message(view: Callable[..., Any]) -> Callable[..., Any]:
    """Show the page again with a message when the service is too busy for what was sent from it."""

    @wraps(view)
    def guarded(request: HttpRequest, *arguments: Any, **options: Any) -> Any:
        try:
            return view(request, *arguments, **options)
        except Overloaded as refused:
            messages.error(request, refused.message)
            return HttpResponseRedirect(request.get_full_path())

    return guarded


class Console(admin.AdminSite):
    """The admin of this service."""

    site_header = _("Customer segments")
    site_title = _("Customer segments")
    index_title = _("What would you like to do?")
    empty_value_display = "–"
    site_url = None

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self.disable_action("delete_selected")
        self.add_action(delete_selected, "delete_selected")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register models, whose names and those of their fields are looked up in the reader's language.

        The models themselves say them in English: they know of no reader, and migrations record them.
        """
        super().register(model_or_iterable, admin_class, **options)
        models = model_or_iterable if isinstance(model_or_iterable, Iterable) else [model_or_iterable]
        for model in models:
            names: Any = model._meta
            names.verbose_name = gettext_lazy(str(names.verbose_name))
            names.verbose_name_plural = gettext_lazy(str(names.verbose_name_plural))
            for field in names.get_fields():
                for text in ("verbose_name", "help_text"):
                    if getattr(field, text, ""):
                        setattr(field, text, gettext_lazy(str(getattr(field, text))))
                if getattr(field, "choices", None):
                    field.choices = [(value, gettext_lazy(str(label))) for value, label in field.choices]

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:
        return super().admin_view(overload_as_message(view), cacheable)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Log in and go on to the page that was asked for, or to the start page where that is no page."""
        provider = getattr(settings, "OIDC_PROVIDER_NAME", "")
        response = super().login(request, {"login_provider": provider, **(extra_context or {})})
        if isinstance(response, HttpResponseRedirect):
            return HttpResponseRedirect(self.page_after_login(response.url))
        return response

    def page_after_login(self, address: str) -> str:
        """Return the address if it leads to a page of the admin, otherwise the start page's."""
        start = reverse("admin:index")
        parts = urlsplit(address)
        path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
        try:
            match = resolve(path)
        except Resolver404:
            return start
        is_page = match.namespace == self.name and match.url_name not in NO_PAGES_TO_RETURN_TO
        return address if is_page and "url" not in match.kwargs else start

    def get_urls(self) -> list[Any]:
        """Leave out the page that leads to a row's page in a shop: no model of this service has one."""
        return [pattern for pattern in super().get_urls() if getattr(pattern, "name", "") != "view_on_site"]

    def autocomplete_view(self, request: HttpRequest) -> Any:
        return TenantAutocompleteView.as_view(admin_site=self)(request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context = super().each_context(request)
        user: Any = request.user
        if user.is_active and user.is_staff:
            context["console_tenant"] = (
                gettext("all tenants") if sees_all_tenants(request) else str(user.tenant)
            )
        return context

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Group the models as settings.ADMIN_INDEX says, which a merchandiser understands better than apps.

        Models that are not named there follow in the group of their app.
        """
        found = super().get_app_list(request, app_label)
        if app_label is not None:
            return found
        by_label = {model["model"]._meta.label: model for app in found for model in app["models"]}
        groups = []
        for title, labels in settings.ADMIN_INDEX.items():
            models = [by_label.pop(label) for label in labels if label in by_label]
            if models:
                first = models[0]["model"]._meta.app_label
                app_url = next(app["app_url"] for app in found if app["app_label"] == first)
                groups.append(
                    {"name": gettext(title), "app_label": first, "app_url": app_url, "models": models}
                )
        for app in found:
            rest = [model for model in app["models"] if model["model"]._meta.label in by_label]
            if rest:
                groups.append(
                    {**app, "name": apps.get_app_config(app["app_label"]).verbose_name, "models": rest}
                )
        for group in groups:
            for model in group["models"]:
                model["explanation"] = getattr(self.get_model_admin(model["model"]), "explanation", "")
        return groups
