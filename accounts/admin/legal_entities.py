from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from django.contrib import admin
from django.db import transaction
from django.db.models import ManyToOneRel, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.admin.changes import change_of
from accounts.forms.customers import ContactForm, LegalEntityForm
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import ContactAssignment, Customer, LegalEntity
from accounts.models.customers import SEARCHED_FIELDS
from accounts.operations.contact_assignments import create_contact_assignment, upsert_contact_assignment
from accounts.operations.legal_entities import delete_legal_entities, upsert_legal_entity
from core.admin import AutocompleteFilter, TenantAdmin, adopt
from core.admin.declared import Fieldset
from core.admin.forms import DocumentForm
from core.search import in_order, matching

RECORD: Fieldset = (
    _("Record"),
    {"fields": ("version", "created_at", "modified_at"), "classes": ("collapse",)},
)


@admin.register(LegalEntity)
class LegalEntityAdmin(TenantAdmin):
    form = LegalEntityForm
    found_at = 6
    explanation = _("Companies and their subsidiaries, for which customers act.")
    empty_state = _("Add a company, then its contacts.")
    error_fields = {"id": "external_id", "parentId": "parent"}
    list_display = ("name", "external_id", "type", "parent")
    list_select_related = ("parent",)
    list_filter = ("type",)
    linked_lookups = ("parent__in",)
    search_fields = ("name",)
    search_help_text = _("The beginnings of words of the name or the id, in any order.")
    autocomplete_fields = ("parent",)
    readonly_fields = ("version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("external_id", "name", "type", "parent")}),
        (
            _("Details"),
            {
                "fields": (
                    "legal_info",
                    "account_limit",
                    "customer_groups",
                    "entities_addresses",
                    "approval_group",
                    "restrictions",
                ),
                "classes": ("collapse",),
            },
        ),
        (_("Own attributes"), {"fields": ("mixins", "mixin_schemas"), "classes": ("collapse",)}),
        RECORD,
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        fields = ("external_id", "name")
        return in_order(matching(queryset, search_term, fields), search_term, fields), False

    def related_links(self, request: HttpRequest, obj: LegalEntity) -> list[dict[str, object]]:
        links = super().related_links(request, obj)
        if request.user.has_perm("accounts.add_contactassignment"):
            add = reverse("admin:accounts_contactassignment_add")
            page = f"{add}?legal_entity={obj.pk}&tenant={obj.tenant_id}"
            links.append({"url": page, "text": _("Add a contact"), "note": ""})
        return links

    def _references(self) -> Iterator[tuple[ManyToOneRel, str]]:
        # Subsidiaries go with their company: the operation deletes from the leaves up.
        for relation, action in super()._references():
            yield relation, "CASCADE" if relation.related_model is LegalEntity else action

    def save_model(self, request: HttpRequest, obj: LegalEntity, form: DocumentForm, change: bool) -> None:
        stored, _ = upsert_legal_entity(
            tenant_id=obj.tenant_id,
            external_id=obj.external_id,
            change=change_of(form, apart=("parent", "parent_id")),
            parent_id=obj.parent.external_id if obj.parent else "",
            at=timezone.now(),
        )
        adopt(obj, stored)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        chosen = queryset.order_by("tenant", "pk").values_list("tenant", "external_id")
        for tenant_id, rows in groupby(chosen, key=itemgetter(0)):
            delete_legal_entities(tenant_id=tenant_id, external_ids=[external_id for _, external_id in rows])


@admin.register(ContactAssignment)
class ContactAssignmentAdmin(TenantAdmin):
    form = ContactForm
    explanation = _("Which customers may act for which companies.")
    empty_state = _("Open a company and choose “Add a contact”.")
    error_fields = {"customer.id": "customer", "legalEntity.id": "legal_entity", "id": "external_id"}
    sortable_by = ()  # the orders that an index serves
    list_display = ("customer", "legal_entity", "type", "is_primary")
    list_select_related = ("customer", "legal_entity")
    list_filter = (
        ("legal_entity", AutocompleteFilter),
        ("customer", AutocompleteFilter),
        "type",
        "is_primary",
    )
    search_fields = ("customer__external_id",)
    search_help_text = _("The beginnings of words of a customer's number, name, company and e-mail.")
    autocomplete_fields = ("customer", "legal_entity")
    ordering = ("-id",)
    readonly_fields = ("version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("external_id", "legal_entity", "customer", "type", "is_primary")}),
        (_("Own attributes"), {"fields": ("mixins", "mixin_schemas"), "classes": ("collapse",)}),
        RECORD,
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        if not search_term.strip():
            return queryset, False
        customers = matching(Customer.objects.all(), search_term, SEARCHED_FIELDS)
        return queryset.filter(customer__in=customers.order_by().values("pk")), False

    def save_model(
        self, request: HttpRequest, obj: ContactAssignment, form: DocumentForm, change: bool
    ) -> None:
        wanted = change_of(form, apart=("customer", "customer_id", "legal_entity", "legal_entity_id"))
        company, customer, at = obj.legal_entity.external_id, obj.customer.external_id, timezone.now()
        if change:
            stored, _is_new = upsert_contact_assignment(
                tenant_id=obj.tenant_id,
                external_id=obj.external_id,
                legal_entity_id=company,
                customer_id=customer,
                change=wanted,
                at=at,
            )
        else:
            stored = create_contact_assignment(
                tenant_id=obj.tenant_id,
                external_id=obj.external_id,
                legal_entity_id=company,
                customer_id=customer,
                change=wanted,
                at=at,
            )
        adopt(obj, stored)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        super().delete_queryset(request, queryset)
        announce_revocation()
