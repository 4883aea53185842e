"""The admin site: its name, the order of its index, and the search behind every autocomplete field."""

from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar, cast
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.core.exceptions import PermissionDenied
from django.db.models import BooleanField, Field, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from core.admin.actions import delete_selected
from core.admin.faults import refusal_text
from core.admin.keys import key_of
from core.admin.model_admin import TenantAdmin
from core.admin.pages import registered_pages
from core.admin.panels import registered_panels, render_panel, shop_of, shown_panels
from core.admin.tenants import sees_all_tenants
from core.errors import Overloaded
from core.login_pages import page_after_login
from core.tenancy.models import Tenant

MOST_TERM = 200
MOST_FOUND = 6


class TenantAutocompleteView(AutocompleteJsonView):
    """Finds rows for an autocomplete field; `tenant` narrows what a superuser finds to the form's tenant."""

    model_admin: TenantAdmin

    def get_queryset(self) -> QuerySet:
        rows = super().get_queryset()
        tenant_id = key_of(self.request.GET.get("tenant", ""))
        return rows if tenant_id is None else self.model_admin.limited(rows, tenant_id)

    def serialize_result(self, obj: object, to_field_name: str) -> dict[str, str]:
        option = super().serialize_result(obj, to_field_name)  # type: ignore[misc]
        return {**option, "text": self.model_admin.autocomplete_text(obj)}


Arguments = ParamSpec("Arguments")
View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class FoundRow(NamedTuple):
    """A row that the search has found."""

    text: str
    url: str


class FoundRows(NamedTuple):
    """The first rows of one model that the search has found, and where all of them are listed."""

    name: str
    rows: list[FoundRow]
    more: str


def overload_as_message(
    view: Callable[Concatenate[HttpRequest, Arguments], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, Arguments], HttpResponseBase]:
    """Show the page again with a message when the service is too busy for what was sent from it."""

    @wraps(view)
    def guarded(
        request: HttpRequest, *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> HttpResponseBase:
        try:
            return view(request, *arguments, **options)
        except Overloaded as refused:
            messages.error(request, refusal_text(refused))
            return HttpResponseRedirect(request.get_full_path())

    return guarded


def without_nul(
    view: Callable[Concatenate[HttpRequest, Arguments], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, Arguments], HttpResponseBase]:
    """Leave the character NUL out of the parameters of pages: PostgreSQL takes it in no text."""

    @wraps(view)
    def cleaned(
        request: HttpRequest, *arguments: Arguments.args, **options: Arguments.kwargs
    ) -> HttpResponseBase:
        if "%00" in request.META.get("QUERY_STRING", ""):
            parameters = QueryDict(mutable=True)
            for name, values in request.GET.lists():
                parameters.setlist(name.replace("\0", ""), [value.replace("\0", "") for value in values])
            request.GET = parameters  # type: ignore[assignment]
        return view(request, *arguments, **options)

    return cleaned


def named(apps: list[Any]) -> list[Any]:
    """Return the apps with their names in the reader's language."""
    for app in apps:
        app["name"] = gettext(str(app["name"]))
    return apps


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

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[admin.ModelAdmin] | None = None,
        **options: object,
    ) -> None:
        """Register models, whose names and those of their fields are looked up in the reader's language.

        The models themselves say them in English: they know of no reader, and migrations record them.
        """
        super().register(model_or_iterable, admin_class, **options)
        models = model_or_iterable if isinstance(model_or_iterable, Iterable) else [model_or_iterable]
        for model in models:
            names = model._meta
            names.verbose_name = gettext_lazy(str(names.verbose_name))
            names.verbose_name_plural = gettext_lazy(str(names.verbose_name_plural))
            for field in names.get_fields():
                if isinstance(field, BooleanField):
                    field.verbose_name = str(field.verbose_name).removeprefix("is ")
                for text in ("verbose_name", "help_text"):
                    if getattr(field, text, ""):
                        setattr(field, text, gettext_lazy(str(getattr(field, text))))
                if isinstance(field, Field) and field.choices:
                    field.choices = [(value, gettext_lazy(str(label))) for value, label in field.flatchoices]

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        return super().admin_view(cast(View, without_nul(overload_as_message(view))), cacheable)

    def login(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """Log in and go on to the page that was asked for, or to the start page where that is no page."""
        provider = getattr(settings, "OIDC_PROVIDER_NAME", "")
        response = super().login(request, {"login_provider": provider, **(extra_context or {})})
        if isinstance(response, HttpResponseRedirect):
            return HttpResponseRedirect(page_after_login(response.url))
        return response

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Add the search and the panels; leave out the page that leads to a row's page in a shop.

        No model of this service has one of those.
        """
        own = [
            path("find/", self.admin_view(self.find), name="find"),
            path("panels/<slug:name>/", self.admin_view(self.panel), name="panel"),
        ]
        known = [pattern for pattern in super().get_urls() if getattr(pattern, "name", "") != "view_on_site"]
        return [*own, *registered_pages(), *known]

    def index(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> TemplateResponse:
        """Show the start page of the shop; a superuser of several shops chooses one."""
        shop = shop_of(request)
        context = {
            "shop": shop,
            "panels": shown_panels(request, shop) if shop is not None else {},
            "shops": Tenant.objects.all() if sees_all_tenants(request) else (),
            "shop_query": f"?tenant={shop.pk}" if shop is not None and sees_all_tenants(request) else "",
            **(extra_context or {}),
        }
        return super().index(request, context)

    def app_index(
        self, request: HttpRequest, app_label: str, extra_context: dict[str, object] | None = None
    ) -> TemplateResponse:
        """Show the groups of the start page that lead here, under their names."""
        names = [str(group["name"]) for group in self.get_app_list(request, app_label)]
        return super().app_index(request, app_label, {"title": ", ".join(names), **(extra_context or {})})

    def panel(self, request: HttpRequest, name: str) -> HttpResponse:
        """Show one panel, by itself or as the part of the start page that the page fetches."""
        found, shop = registered_panels().get(name), shop_of(request)
        html = render_panel(found, request, shop) if found is not None and shop is not None else None
        if request.headers.get("X-Fragment"):
            return HttpResponse(html or "")
        if found is None or shop is None:
            raise Http404
        if html is None:
            raise PermissionDenied
        context = {**self.each_context(request), "title": found.title, "html": html}
        return TemplateResponse(request, "admin/start/panel.html", context)

    def find(self, request: HttpRequest) -> HttpResponse:
        """Search customers, segments, coupons and all else that can be found; one hit is opened at once."""
        term = request.GET.get("q", "").strip()[:MOST_TERM]
        found = (
            [one for one in map(partial(self._found, request, term), self._searched()) if one] if term else []
        )
        rows = [row for group in found for row in group.rows]
        if len(rows) == 1:
            return HttpResponseRedirect(rows[0].url)
        context = {**self.each_context(request), "title": _("Find"), "term": term, "found": found}
        return TemplateResponse(request, "admin/start/find.html", context)

    def _searched(self) -> list[TenantAdmin]:
        admins = (one for one in self._registry.values() if isinstance(one, TenantAdmin) and one.found_at)
        return sorted(admins, key=lambda one: one.found_at)

    def _found(self, request: HttpRequest, term: str, model_admin: TenantAdmin) -> FoundRows | None:
        """Return the first rows of one model that the term finds."""
        if not model_admin.has_view_permission(request):
            return None
        rows, _may_repeat = model_admin.get_search_results(request, model_admin.get_queryset(request), term)
        if not rows.query.order_by:
            rows = rows.order_by("-pk")
        first = list(rows[: MOST_FOUND + 1])
        if not first:
            return None
        names = model_admin.opts
        address = f"admin:{names.app_label}_{names.model_name}"
        all_rows = f"{reverse(f'{address}_changelist')}?{urlencode({'q': term})}"
        return FoundRows(
            name=capfirst(str(names.verbose_name_plural)),
            rows=[
                FoundRow(model_admin.autocomplete_text(row), reverse(f"{address}_change", args=[row.pk]))
                for row in first[:MOST_FOUND]
            ],
            more=all_rows if len(first) > MOST_FOUND else "",
        )

    def autocomplete_view(self, request: HttpRequest) -> Any:
        return TenantAutocompleteView.as_view(admin_site=self)(request)

    def each_context(self, request: HttpRequest) -> dict[str, object]:
        context = super().each_context(request)
        user = request.user
        if user.is_active and user.is_staff:
            context["console_tenant"] = (
                gettext("all tenants") if sees_all_tenants(request) else str(user.tenant)
            )
        return context

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Group the models as settings.ADMIN_INDEX says, which a merchandiser understands better than apps.

        Models that are not named there follow in the group of their app. The page of an app has the groups
        that lead there.
        """
        if app_label is not None:
            groups = [group for group in self.get_app_list(request) if group["app_label"] == app_label]
            return groups or named(super().get_app_list(request, app_label))
        found = named(super().get_app_list(request))
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
                groups.append({**app, "models": rest})
        for group in groups:
            for model in group["models"]:
                model["explanation"] = getattr(self.get_model_admin(model["model"]), "explanation", "")
        return groups
