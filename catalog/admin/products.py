from collections.abc import Sequence

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten
from django.db.models import Field, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalog.admin.search import NamedAdmin
from catalog.extensions import product_actions
from catalog.forms.products import DETAIL_FIELDS, FORM_FIELDS, ProductForm
from catalog.models import SEARCHED_FIELDS, CategoryAssignment, Product
from catalog.operations.product_sets import delete_products, publish_products
from catalog.operations.products import create_product, edit_product
from core.admin import adopt
from core.admin.counts import CappedCount, shown_count
from core.admin.declared import Fieldsets
from core.admin.undo import message_of_number
from core.admin.value_rows import MixinsField
from core.search import in_order

LONGEST_NAME = 500
LONGEST_DESCRIPTION = 10_000
OWN_ATTRIBUTES = ("mixins", "mixin_schemas")


def shown_once(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the fields with one in place of all those of the details."""
    return tuple(dict.fromkeys("shown_details" if name in DETAIL_FIELDS else name for name in fields))


@admin.register(Product)
class ProductAdmin(NamedAdmin):
    form = ProductForm
    found_at = 4
    explanation = _("What the shop sells.")
    empty_state = _("Add one, or let another system write them through the API.")
    localized_fields = {"name": LONGEST_NAME, "description": LONGEST_DESCRIPTION}
    error_fields = FORM_FIELDS
    sortable_by = ("code",)  # the orders that an index serves
    list_display = ("__str__", "code", "is_published", "modified_at")
    list_filter = ("is_published",)
    readonly_fields = ("version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("name", "description", "code", "is_published", "external_id")}),
        (_("Other attributes"), {"fields": DETAIL_FIELDS, "classes": ("collapse",)}),
        (_("Own attributes"), {"fields": OWN_ATTRIBUTES, "classes": ("collapse",)}),
        (_("Record"), {"fields": ("version", "created_at", "modified_at"), "classes": ("collapse",)}),
    )

    @property
    def actions(self) -> tuple[object, ...]:  # type: ignore[override]
        return ("publish", "unpublish", *product_actions())

    def get_fieldsets(self, request: HttpRequest, obj: object = None) -> Fieldsets:
        """Show those who may only look the details as lines, in place of form fields."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return fieldsets
        return [
            (title, {**options, "fields": shown_once(flatten(options["fields"]))})
            for title, options in fieldsets
        ]

    def formfield_for_dbfield(
        self, db_field: Field, request: HttpRequest, **kwargs: object
    ) -> forms.Field | None:
        if db_field.name == "mixins":
            kwargs["form_class"] = MixinsField
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        found, _ = super().get_search_results(request, queryset, search_term)
        return in_order(found, search_term, SEARCHED_FIELDS, exact_first="o" not in request.GET), False

    def related_links(self, request: HttpRequest, obj: Product) -> list[dict[str, object]]:
        counted = Product.objects.filter(pk=obj.pk).annotate(
            number=CappedCount(CategoryAssignment.objects.filter(tenant=obj.tenant_id, product=obj.pk))
        )
        page = reverse("admin:catalog_categoryassignment_changelist") + f"?product__id__exact={obj.pk}"
        return [{"url": page, "text": _("Categories"), "note": shown_count(counted.get().number)}]

    def save_model(self, request: HttpRequest, obj: Product, form: ProductForm, change: bool) -> None:
        body = form.body
        if change:
            edit_product(
                tenant_id=obj.tenant_id, product_id=obj.external_id, edit=lambda _: body, at=timezone.now()
            )
        else:
            create_product(tenant_id=obj.tenant_id, body=body, at=timezone.now())
        adopt(obj, Product.objects.get(tenant=obj.tenant_id, external_id=obj.external_id))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        delete_products(products=queryset)

    @admin.action(description=_("Publish selected products"), permissions=["change"])
    def publish(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._set_published(request, queryset, is_published=True)

    @admin.action(description=_("Unpublish selected products"), permissions=["change"])
    def unpublish(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._set_published(request, queryset, is_published=False)

    def _set_published(self, request: HttpRequest, queryset: QuerySet, *, is_published: bool) -> None:
        number = publish_products(products=queryset, is_published=is_published, at=timezone.now())
        text = (
            ngettext("Published {number} product.", "Published {number} products.", number)
            if is_published
            else ngettext("Unpublished {number} product.", "Unpublished {number} products.", number)
        )
        message_of_number(request, text, number)
