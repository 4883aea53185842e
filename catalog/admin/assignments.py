from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from catalog.admin.filters import AssignedBelowFilter
from catalog.forms.products import CategoryAssignmentForm
from catalog.models import CategoryAssignment, Product
from catalog.operations.assignments import remove_assignments, upsert_assignment
from core.admin import AutocompleteFilter, TenantAdmin, adopt


@admin.register(CategoryAssignment)
class CategoryAssignmentAdmin(TenantAdmin):
    form = CategoryAssignmentForm
    explanation = _("Which products are in which category.")
    empty_state = _("Add one, or let another system assign products through the API.")
    sortable_by = ()  # the orders that an index serves
    list_display = ("product", "category", "created_at")
    list_select_related = ("product", "category")
    list_filter = (AssignedBelowFilter, ("category", AutocompleteFilter), ("product", AutocompleteFilter))
    search_fields = ("product__external_id",)
    search_help_text = _("The beginnings of words of a product's name, code and id, in any order.")
    autocomplete_fields = ("category", "product")
    ordering = ("-id",)
    error_fields = {"ref.id": "product"}
    fields = ("category", "product")

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """An assignment is made or deleted; there is nothing in it to change."""
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str | list[str]]:
        """Begin with what the list was filtered by."""
        filters = QueryDict(request.GET.get("_changelist_filters", ""))
        chosen = {name: filters.get(f"{name}__id__exact", "") for name in self.fields}
        return {**chosen, **super().get_changeform_initial_data(request)}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        if not search_term.strip():
            return queryset, False
        products = self.admin_site.get_model_admin(Product)
        found, _ = products.get_search_results(request, products.get_queryset(request), search_term)
        return queryset.filter(product__in=found.order_by().values("pk")), False

    def save_model(self, request: HttpRequest, obj: CategoryAssignment, form: object, change: bool) -> None:
        assignment_id, _ = upsert_assignment(
            tenant_id=obj.tenant_id,
            category_id=obj.category.external_id,
            product_id=obj.product.external_id,
            at=timezone.now(),
        )
        adopt(obj, CategoryAssignment.objects.get(tenant=obj.tenant_id, external_id=assignment_id))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        remove_assignments(assignments=queryset)
