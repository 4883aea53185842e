from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.admin.changes import change_of
from accounts.forms.customers import CustomerForm
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import Customer
from accounts.operations.customers import change_customer, create_customer
from core.admin import TenantAdmin, adopt, starting_with


@admin.register(Customer)
class CustomerAdmin(TenantAdmin):
    form = CustomerForm
    explanation = "People who shop here, alone or as contacts of companies."
    empty_state = "Customers sign up in the storefront, come in by an import, or are added here."
    error_fields = {"id": "external_id", "contactEmail": "email"}
    list_display = ("external_id", "name", "email", "type", "is_active", "is_on_hold")
    list_filter = ("type", "is_active", "is_on_hold")
    search_fields = ("external_id",)
    search_help_text = "The beginning of a number, e-mail, first or last name."
    ordering = ("-id",)
    readonly_fields = ("last_login_at", "version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("external_id", "email", "title", "first_name", "middle_name", "last_name")}),
        ("State", {"fields": ("type", "is_active", "is_on_hold")}),
        ("Contact", {"fields": ("contact_phone", "company", "company_registration_id", "photo_url")}),
        ("Preferences", {"fields": ("preferred_language", "preferred_currency", "preferred_site")}),
        ("Own attributes", {"fields": ("mixins", "mixin_schemas"), "classes": ("collapse",)}),
        (
            "Record",
            {"fields": ("last_login_at", "version", "created_at", "modified_at"), "classes": ("collapse",)},
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        found = starting_with(
            queryset, search_term, exact=["external_id"], folded=["email", "last_name", "first_name"]
        )
        return found, False

    @admin.display(description="Name", ordering="last_name")
    def name(self, customer: Customer) -> str:
        return f"{customer.first_name} {customer.last_name}".strip()

    def save_model(self, request: HttpRequest, obj: Customer, form: Any, change: bool) -> None:
        wanted = change_of(form)
        if change:
            stored = change_customer(
                tenant_id=obj.tenant_id,
                external_id=obj.external_id,
                change=lambda customer: wanted,
                at=timezone.now(),
            )
        else:
            stored = create_customer(
                tenant_id=obj.tenant_id, external_id=obj.external_id, values=wanted.values, at=timezone.now()
            )
        adopt(obj, stored)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        super().delete_queryset(request, queryset)
        announce_revocation()
