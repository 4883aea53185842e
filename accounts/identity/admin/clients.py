from datetime import timedelta

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from accounts.identity.forms import ApiClientForm
from accounts.identity.models import ApiClient, ClientSecret
from accounts.identity.operations.clients import (
    change_api_client,
    create_api_client,
    revoke_client_tokens,
    rotate_client_secret,
)
from core.admin import ReadOnlyAdmin, TenantAdmin, adopt
from core.admin.declared import Fieldsets, Names
from core.admin.faults import refusal_text
from core.errors import Unavailable
from core.unavailability import contention_as_refusal

KEEP_OLD_SECRET_FOR = timedelta(days=7)


@admin.register(ApiClient)
class ApiClientAdmin(TenantAdmin):
    form = ApiClientForm
    explanation = _("Programs that call the API, and what they may do.")
    empty_state = _("Add one for each program, so that each can be shut out by itself.")
    error_fields = {"id": "client_id"}
    list_display = ("client_id", "name", "may_start_sessions", "is_active", "tokens_not_before", "created_at")
    list_filter = ("is_active", "may_start_sessions")
    search_fields = ("client_id", "name")
    readonly_fields = ("tokens_not_before", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Names:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "client_id"] if obj is not None else fields

    def get_fieldsets(self, request: HttpRequest, obj: object = None) -> Fieldsets:
        tenant = ["tenant"] if obj is not None and self._shows_tenant(request) else []
        if obj is None:
            return [
                (None, {"fields": ("client_id", "name", "has_secret", "may_start_sessions")}),
                (_("Scopes"), {"fields": ("scopes",)}),
            ]
        return [
            (None, {"fields": (*tenant, "client_id", "name", "is_active", "may_start_sessions")}),
            (_("Scopes"), {"fields": ("scopes",)}),
            (_("Record"), {"fields": ("tokens_not_before", "created_at")}),
        ]

    def save_model(self, request: HttpRequest, obj: ApiClient, form: forms.ModelForm, change: bool) -> None:
        if change:
            stored = change_api_client(
                client=obj,
                name=obj.name,
                scopes=obj.scopes,
                may_start_sessions=obj.may_start_sessions,
                is_active=obj.is_active,
            )
        else:
            stored, secret = create_api_client(
                tenant=obj.tenant,
                at=timezone.now(),
                client_id=obj.client_id,
                name=obj.name,
                scopes=obj.scopes,
                may_start_sessions=obj.may_start_sessions,
                has_secret=form.cleaned_data["has_secret"],
            )
            request.fresh_secret = secret  # type: ignore[attr-defined]
        adopt(obj, stored)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Shut the clients out at once, then delete them with their secrets and sessions."""
        for client in queryset.order_by("pk"):
            change_api_client(client=client, is_active=False)
        queryset.order_by().delete()

    def response_add(
        self, request: HttpRequest, obj: Model, post_url_continue: str | None = None
    ) -> HttpResponse:
        secret = getattr(request, "fresh_secret", "")
        if not secret or not isinstance(obj, ApiClient):
            return super().response_add(request, obj, post_url_continue)
        return self._show_secret(request, obj, secret)

    def related_links(self, request: HttpRequest, obj: ApiClient) -> list[dict[str, object]]:
        links = super().related_links(request, obj)
        if self.has_change_permission(request, obj):
            links += [
                {
                    "url": reverse("admin:identity_apiclient_rotate", args=(obj.pk,)),
                    "text": _("New secret"),
                    "note": "",
                },
                {
                    "url": reverse("admin:identity_apiclient_revoke", args=(obj.pk,)),
                    "text": _("Revoke all tokens"),
                    "note": "",
                },
            ]
        return links

    # --- pages of one client ---

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:key>/secret/", view(self.rotate_secret), name="identity_apiclient_rotate"),
            path("<int:key>/revoke/", view(self.revoke_tokens), name="identity_apiclient_revoke"),
            *super().get_urls(),
        ]

    def rotate_secret(self, request: HttpRequest, key: int) -> HttpResponse:
        """Give the client a new secret and show it once."""
        client = self._client(request, key)
        if request.method == "POST":
            keeps = KEEP_OLD_SECRET_FOR if "keep" in request.POST else timedelta(0)
            try:
                with contention_as_refusal():
                    secret = rotate_client_secret(client=client, at=timezone.now(), keep_others_for=keeps)
            except Unavailable as busy:
                self.message_user(request, refusal_text(busy), messages.ERROR)
            else:
                return self._show_secret(request, client, secret)
        return self._ask(request, client, gettext("New secret for this client?"), "rotate")

    def revoke_tokens(self, request: HttpRequest, key: int) -> HttpResponse:
        """Refuse every token that the client holds."""
        client = self._client(request, key)
        if request.method == "POST":
            try:
                with contention_as_refusal():
                    revoke_client_tokens(client=client, at=timezone.now())
            except Unavailable as busy:
                self.message_user(request, refusal_text(busy), messages.ERROR)
            else:
                text = gettext("All tokens of this client are refused from now on.")
                self.message_user(request, text, messages.SUCCESS)
                return HttpResponseRedirect(reverse("admin:identity_apiclient_change", args=(client.pk,)))
        return self._ask(request, client, gettext("Revoke all tokens of this client?"), "revoke")

    def _client(self, request: HttpRequest, key: int) -> ApiClient:
        client = self.get_queryset(request).filter(pk=key).first()
        if client is None:
            raise Http404(_("There is no such client."))
        if not self.has_change_permission(request, client):
            raise PermissionDenied
        return client

    def _ask(self, request: HttpRequest, client: ApiClient, title: str, question: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "subtitle": str(client),
            "opts": self.opts,
            "client": client,
            "question": question,
            "keep_days": KEEP_OLD_SECRET_FOR.days,
        }
        return TemplateResponse(request, "admin/identity/ask_client.html", context)

    @method_decorator(never_cache)
    def _show_secret(self, request: HttpRequest, client: ApiClient, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("The client's secret"),
            "subtitle": str(client),
            "opts": self.opts,
            "client": client,
            "secret": secret,
        }
        return TemplateResponse(request, "admin/identity/secret.html", context)


@admin.register(ClientSecret)
class ClientSecretAdmin(ReadOnlyAdmin):
    tenant_path = "client__tenant"
    explanation = _(
        "When secrets were made and until when they are good. The secrets themselves are not kept."
    )
    list_display = ("client", "slot", "created_at", "expires_at")
    list_select_related = ("client",)
    list_filter = ("client",)
    fields = ("client", "slot", "created_at", "expires_at")
    ordering = ("client__client_id", "slot")
