from collections.abc import Sequence

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import BooleanField, OuterRef, Q, QuerySet, Subquery
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer
from accounts.models.customers import SEARCHED_FIELDS
from catalog.models import SEARCHED_FIELDS as NAMES_OF_ITEMS
from catalog.models import Category, Product
from core.admin import AutocompleteFilter, TenantAdmin, adopt, shown_moment, window_text
from core.admin.declared import Fieldset, Names
from core.admin.filters import visible_rows
from core.admin.forms import DocumentForm
from core.admin.keyset import KeysetPaginator
from core.bodies import read_body
from core.errors import NotFound
from core.journal.words import occasion_of
from core.search import matching
from core.sql.composition import Sql
from core.sql.time_limits import fetch_within
from segments.additions import additions_of
from segments.admin.chosen import SEGMENT, ChosenPages
from segments.admin.combine import CombinedFilter
from segments.admin.filters import (
    AddedByFilter,
    BelowFilter,
    CountsNowFilter,
    ForCompaniesFilter,
    ItemTypeFilter,
    SegmentsFilter,
    SourceFilter,
    adder_of,
)
from segments.admin.shown_rules import why_address
from segments.bodies import (
    CustomerAssignmentBody,
    ItemAssignmentBody,
    customer_assignment_document,
    expecting,
    item_assignment_document,
)
from segments.forms.assignments import CustomerAssignmentForm, ItemAssignmentForm
from segments.models import CustomerAssignment, ItemAssignment
from segments.operations.assignments import held_segment
from segments.operations.customers import upsert_customer_assignment
from segments.operations.items import ItemType, upsert_item_assignment
from segments.operations.removals import remove_assignments

MOST_FOUND = 20_000
SAMPLE = 5_000
SEARCH_MILLISECONDS = 150


def fetched(rows: QuerySet) -> list[object] | None:
    """Return the only column of the rows; None when that takes too long."""
    text, params = rows.query.sql_with_params()
    found = fetch_within(Sql(text, params), milliseconds=SEARCH_MILLISECONDS)
    return None if found is None else [value for (value,) in found]


def limited_to(assignments: QuerySet, name: str, found: QuerySet) -> QuerySet:
    """Keep the assignments whose `name` was found, by whichever way is quick.

    What is found leads to its assignments by an index. Where that is very much, the list is walked in its own
    order: what a row names is looked up where enough of the newest match, else in a set that is made first.
    """
    found = found.order_by()
    table = assignments.model._meta.db_table
    keys = fetched(found.values("pk")[: MOST_FOUND + 1])
    if keys is not None and len(keys) <= MOST_FOUND:
        chosen = assignments.order_by().filter(where(f'"{table}"."{name}_id" = ANY(%s::bigint[])', [keys]))
        text, params = chosen.values("pk").query.sql_with_params()
        # An array of their keys, or PostgreSQL walks the list down to the oldest rather than look them up.
        return assignments.filter(where(f'"{table}"."id" = ANY(ARRAY({text}))', params))
    # A scalar subquery, since PostgreSQL would make a join of EXISTS, and begin with all that are found.
    each = Subquery(found.filter(pk=OuterRef(f"{name}_id")).values("pk")[:1])
    sample = fetched(assignments.order_by("-pk").values_list(each, flat=True)[:SAMPLE])
    if sample is not None:
        known = sum(key is not None for key in sample)
        if len(sample) < SAMPLE or known > KeysetPaginator.cap:  # so the count ends within the sample
            return assignments.alias(found_key=each).filter(found_key__isnull=False)
    text, params = found.values("pk").query.sql_with_params()
    spans = f"SELECT range_agg(int8range(found.pk, found.pk, '[]')) FROM ({text}) AS found (pk)"
    return assignments.filter(where(f'"{table}"."{name}_id" <@ ({spans})', params))


def where(condition: str, params: Sequence[object]) -> RawSQL:
    """Return a condition as a filter takes it: text from the code, with parameters."""
    return RawSQL(f"({condition})", params, output_field=BooleanField())  # noqa: S611


Assignment = CustomerAssignment | ItemAssignment

RECORD: Fieldset = (
    _("Record"),
    {"fields": ("version", "created_at", "modified_at"), "classes": ("collapse",)},
)


class AssignmentAdmin(ChosenPages, TenantAdmin):
    """What members and items share. The segment, customer or item of a stored row cannot be changed."""

    list_display_links = ("title",)
    ordering = ("-id",)
    sortable_by = ()  # pages are found by key, in the order of an index over (segment, id) or (tenant, id)
    error_fields = {
        "customerId": "customer",
        "legalEntityId": "legal_entity",
        "includeSubcategories": "includes_subcategories",
        "validity": "valid_to",
    }
    assigned: tuple[str, ...] = ()
    owner_parameter = SEGMENT

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Say who added the rows of a page, in one statement, to users who may see the journal."""
        shown = super().get_changelist_instance(request)
        user = request.user
        rows = list(shown.result_list)
        if user.has_perm("journal.view_change"):
            found = additions_of(rows)
            for row in rows:
                if (addition := found.get(row.pk)) is not None:
                    row.added_by = (adder_of(addition, request), occasion_of(addition))
        shown.result_list = rows
        return shown

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Names:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "segment", *self.assigned] if obj is not None else fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, str | list[str]]:
        """Begin with the segment that the list was filtered by."""
        filters = QueryDict(request.GET.get("_changelist_filters", ""))
        segment = filters.get("segment__id__exact", "")
        return {"segment": segment, **super().get_changeform_initial_data(request)}

    def related_links(self, request: HttpRequest, obj: Assignment) -> list[dict[str, object]]:
        page = reverse("admin:segments_segment_change", args=(obj.segment_id,))
        return [{"url": page, "text": gettext("Segment {segment}").format(segment=obj.segment), "note": ""}]

    def hold(self, obj: Assignment) -> None:
        """Lock a stored assignment, its segment first; raise NotFound when it is gone."""
        held_segment(obj.tenant_id, obj.segment.external_id)
        if not self.model._base_manager.select_for_update(of=("self",)).filter(pk=obj.pk).exists():
            raise NotFound("This was removed from the segment in the meantime.")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        remove_assignments(assignments=queryset)

    @admin.display(description=_("Segment"))
    def segment_link(self, assignment: Assignment) -> SafeString:
        page = reverse("admin:segments_segment_change", args=(assignment.segment_id,))
        return format_html('<a href="{}">{}</a>', page, assignment.segment)

    @admin.display(description=_("Valid"))
    def window(self, assignment: Assignment) -> SafeString:
        return window_text(assignment, assignment.segment.site.time_zone)

    @admin.display(description=_("Added"), ordering="id")
    def added(self, assignment: Assignment) -> SafeString:
        """When it was added; also by which actor and on what occasion where the list has looked that up."""
        moment = shown_moment(assignment.created_at)
        if not (known := getattr(assignment, "added_by", None)):
            return moment
        person, occasion = known
        by = gettext("by {person}").format(person=person)
        return format_html(
            '{} <span class="quiet">{}</span>', moment, f"{by}, {occasion}" if occasion else by
        )


@admin.register(CustomerAssignment)
class CustomerAssignmentAdmin(AssignmentAdmin):
    form = CustomerAssignmentForm
    explanation = _("Which customers are in which segment, by themselves or while they act for a company.")
    empty_state = _("Add one here, or open a segment and choose “Add members” for a whole list.")
    assigned = ("customer", "legal_entity")
    list_display = ("title", "segment_link", "company", "window", "how", "added")
    list_select_related = ("customer", "segment__tenant", "segment__site", "legal_entity")
    list_filter = (
        ("segment", AutocompleteFilter),
        SegmentsFilter,
        ("customer", AutocompleteFilter),
        ("legal_entity", AutocompleteFilter),
        ForCompaniesFilter,
        CountsNowFilter,
        AddedByFilter,
        SourceFilter,
        CombinedFilter,
        "assignment_type",
    )
    search_fields = ("customer__external_id",)
    search_help_text = _("The beginning of a customer's number, e-mail or name.")
    autocomplete_fields = ("segment", "customer", "legal_entity")
    readonly_fields = ("assignment_type", "version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("segment", "customer", "legal_entity")}),
        (_("When it counts"), {"fields": ("valid_from", "valid_to")}),
        (_("Own attributes"), {"fields": ("mixins", "mixin_schemas"), "classes": ("collapse",)}),
        (_("Record"), {"fields": ("assignment_type", *RECORD[1]["fields"]), "classes": ("collapse",)}),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        if not search_term.strip():
            return queryset, False
        customers = visible_rows(Customer, request, self)
        return limited_to(queryset, "customer", matching(customers, search_term, SEARCHED_FIELDS)), False

    @admin.display(description=_("Customer"))
    def title(self, assignment: CustomerAssignment) -> str:
        return str(assignment.customer)

    @admin.display(description=_("Company"))
    def company(self, assignment: CustomerAssignment) -> str:
        return self.shown(assignment.legal_entity)

    @admin.display(description=_("Belongs"))
    def how(self, assignment: CustomerAssignment) -> str | SafeString:
        """By hand, or by the rule with a link to the page that says why."""
        if assignment.assignment_type == "MANUAL":
            return gettext("by hand")
        return format_html('<a href="{}">{}</a>', why_address(assignment), gettext("by rule"))

    def save_model(
        self, request: HttpRequest, obj: CustomerAssignment, form: DocumentForm, change: bool
    ) -> None:
        if change:
            self.hold(obj)
        document = expecting(form.version_seen, customer_assignment_document(obj))
        row = read_body(CustomerAssignmentBody, document)
        upsert_customer_assignment(
            tenant_id=obj.tenant_id, segment_id=obj.segment.external_id, row=row, at=timezone.now()
        )
        stored = CustomerAssignment.objects.get(
            tenant=obj.tenant_id,
            segment=obj.segment_id,
            customer=obj.customer_id,
            legal_entity=obj.legal_entity_id,
        )
        adopt(obj, stored)


@admin.register(ItemAssignment)
class ItemAssignmentAdmin(AssignmentAdmin):
    form = ItemAssignmentForm
    explanation = _("Which products and categories are in which segment.")
    empty_state = _(
        "Add one here, or open a segment and choose “Add products or categories” for a whole list."
    )
    assigned = ("product", "category")
    list_display = ("title", "type_name", "segment_link", "includes_subcategories", "window", "added")
    list_select_related = ("product__tenant", "category__tenant", "segment__tenant", "segment__site")
    list_filter = (
        ("segment", AutocompleteFilter),
        SegmentsFilter,
        BelowFilter,
        ItemTypeFilter,
        CountsNowFilter,
        AddedByFilter,
        SourceFilter,
        ("product", AutocompleteFilter),
        ("category", AutocompleteFilter),
    )
    search_fields = ("product__external_id",)
    search_help_text = _("The beginnings of words of a name, id or code.")
    autocomplete_fields = ("segment", "product", "category")
    readonly_fields = ("version", "created_at", "modified_at")
    fieldsets = (
        (None, {"fields": ("segment", "product", "category", "includes_subcategories")}),
        (_("When it counts"), {"fields": ("valid_from", "valid_to")}),
        (_("Own attributes"), {"fields": ("mixins", "mixin_schemas"), "classes": ("collapse",)}),
        RECORD,
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        if not search_term.strip():
            return queryset, False
        term = search_term.strip()
        products = matching(visible_rows(Product, request, self), term, NAMES_OF_ITEMS)
        categories = matching(visible_rows(Category, request, self), term, NAMES_OF_ITEMS)
        return (
            queryset.filter(
                Q(product__in=products.order_by().values("pk"))
                | Q(category__in=categories.order_by().values("pk"))
            ),
            False,
        )

    @admin.display(description=_("Item"))
    def title(self, assignment: ItemAssignment) -> str:
        return str(assignment.product or assignment.category)

    @admin.display(description=_("Type"))
    def type_name(self, assignment: ItemAssignment) -> str:
        return gettext("Product") if assignment.product_id else gettext("Category")

    def save_model(self, request: HttpRequest, obj: ItemAssignment, form: DocumentForm, change: bool) -> None:
        if change:
            self.hold(obj)
        row = read_body(ItemAssignmentBody, expecting(form.version_seen, item_assignment_document(obj)))
        upsert_item_assignment(
            tenant_id=obj.tenant_id,
            segment_id=obj.segment.external_id,
            item_type=ItemType(obj.type),
            row=row,
            at=timezone.now(),
        )
        stored = ItemAssignment.objects.get(
            tenant=obj.tenant_id, segment=obj.segment_id, product=obj.product_id, category=obj.category_id
        )
        adopt(obj, stored)
