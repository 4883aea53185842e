from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.admin.changes import change_of
from accounts.forms.shops import SiteForm, TenantForm
from accounts.models import Site
from accounts.operations.sites import change_site, create_site, delete_site
from accounts.operations.tenants import change_tenant, create_tenant
from core.admin import TenantAdmin, adopt
from core.admin.declared import Names
from core.admin.forms import DocumentForm
from core.admin.tenants import sees_all_tenants
from core.tenancy.models import Tenant


@admin.register(Tenant)
class ShopAdmin(TenantAdmin):
    """Tenants. One is never deleted, but switched off; only the platform's superusers make or do that."""

    form = TenantForm
    tenant_path = "pk"
    explanation = _("Shop operators. No tenant sees anything of another.")
    error_fields = {"id": "name"}
    list_display = ("name", "title", "default_language", "languages", "currency", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name", "title")

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Names:
        fields = list(super().get_readonly_fields(request, obj))
        fields += ["name"] if obj is not None else []
        return fields if sees_all_tenants(request) else [*fields, "is_active"]

    def get_exclude(self, request: HttpRequest, obj: object = None) -> list[str]:
        return ["is_active"] if obj is None else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        return sees_all_tenants(request) and super().has_add_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Tenant, form: object, change: bool) -> None:
        if change:
            stored = change_tenant(tenant=obj)
        else:
            stored = create_tenant(
                name=obj.name,
                title=obj.title,
                languages=obj.languages,
                default_language=obj.default_language,
                currency=obj.currency,
                at=timezone.now(),
            )
        adopt(obj, stored)


@admin.register(Site)
class SiteAdmin(TenantAdmin):
    form = SiteForm
    explanation = _("Shop fronts, each with its languages and currency. Every segment belongs to one.")
    empty_state = _("Add one: segments need a site.")
    error_fields = {"default": "is_default"}
    list_display = ("code", "name", "is_default", "is_active", "default_language", "currency")
    list_filter = ("is_active",)
    search_fields = ("code", "name")
    readonly_fields = ("version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("code", "name", "time_zone", "is_active", "is_default")}),
        (
            _("Languages and money"),
            {"fields": ("default_language", "languages", "currency", "available_currencies")},
        ),
        (
            _("Shipping and tax"),
            {"fields": ("ship_to_countries", "tax_determination_based_on", "includes_tax")},
        ),
        (
            _("Own attributes"),
            {"fields": ("home_base", "settings", "mixins", "mixin_schemas"), "classes": ("collapse",)},
        ),
        (_("Record"), {"fields": ("version", "created_at", "modified_at"), "classes": ("collapse",)}),
    )

    @admin.display(description=_("Time zone"))
    def time_zone(self, site: Site) -> str:
        """The time zone as users without the change permission see it; for others it is a form field."""
        return str(site.time_zone or "UTC")

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Names:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "code"] if obj is not None else fields

    def save_model(self, request: HttpRequest, obj: Site, form: DocumentForm, change: bool) -> None:
        wanted = change_of(form, apart=("code",))
        if change:
            stored = change_site(
                tenant_id=obj.tenant_id, code=obj.code, change=lambda site: wanted, at=timezone.now()
            )
        else:
            stored = create_site(tenant_id=obj.tenant_id, code=obj.code, change=wanted, at=timezone.now())
        adopt(obj, stored)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        for site in queryset.order_by("pk"):
            delete_site(tenant_id=site.tenant_id, code=site.code)
