"""What is done with chosen members or items of segments, and the tools above their lists."""

import csv
from collections.abc import Iterator

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer
from catalog.models import Category, Product
from core.admin import AutocompleteSelect
from core.admin.confirmation import repeated_values
from core.admin.counts import exact_count
from core.admin.declared import Columns
from core.admin.faults import refusal_text
from core.admin.filters import visible_rows
from core.admin.keys import key_of
from core.admin.keyset import KeysetAdmin, KeysetChangeList
from core.admin.lists import UnusableParameters
from core.admin.moments import MomentField
from core.admin.undo import message_with_undo
from core.bodies import read_body
from core.errors import DomainError
from core.timestamps import format_time
from core.unavailability import contention_as_refusal
from segments.bodies import CustomerAssignmentBody, ItemAssignmentBody, customer_assignment_document
from segments.forms.bulk_add import ItemsForm, MembersForm
from segments.forms.chosen import TargetForm, WindowsForm
from segments.models import CustomerAssignment, ItemAssignment, Segment
from segments.operations.chosen_assignments import copy_assignments, move_assignments, set_windows
from segments.operations.customers import upsert_customer_assignment
from segments.operations.items import ItemType, upsert_item_assignment
from segments.operations.removals import remove_assignments
from segments.tallies import NOTHING, held_by

SEGMENT = "segment__id__exact"
APPLIED = "_apply"
FORMULAS = ("=", "+", "@", "\t", "\r")


class Line:
    """Where the CSV writer puts a line."""

    def write(self, text: str) -> str:
        return text


def csv_lines(rows: Iterator[list[object]]) -> Iterator[str]:
    """Yield lines of CSV; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    writer = csv.writer(Line())
    for row in rows:
        yield writer.writerow([f"'{cell}" if str(cell).startswith(FORMULAS) else cell for cell in row])


class ChosenPages(KeysetAdmin):
    """Adds actions on chosen members or items, the tools of a segment's list, and its export."""

    change_list_template = "admin/segments/assignments.html"
    actions = ("delete_selected", "copy_to", "move_to", "change_dates")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path("export/", view(self.export), name=f"{name}_export"),
            path("add-one/", view(self.add_one), name=f"{name}_add_one"),
            *super().get_urls(),
        ]

    # --- the list of one segment ---

    def known_total(self, request: HttpRequest, changelist: KeysetChangeList) -> int | None:
        """Return how many rows the list of one whole segment has, from the kept counts."""
        if changelist.query or set(changelist.filter_params) != {SEGMENT}:
            return None
        if (segment := self.segment_of_list(request)) is None:
            return None
        held = held_by(segment.tenant_id, [segment.pk]).get(segment.pk, NOTHING)
        return held.members if self.model is CustomerAssignment else held.items

    def get_list_display(self, request: HttpRequest) -> Columns:
        """Leave out the segment in the list of one segment."""
        columns = super().get_list_display(request)
        is_of_one = self.segment_of_list(request) is not None
        return [name for name in columns if not (is_of_one and name == "segment_link")]

    def segment_of_list(self, request: HttpRequest) -> Segment | None:
        """Return the segment whose list the address names; it is read once for each request."""
        if not hasattr(request, "_segment_of_list"):
            key = key_of(request.GET.get(SEGMENT, ""))
            rows = visible_rows(Segment, request, self).select_related("site", "tenant")
            found = None if key is None else rows.filter(pk=key).first()
            request._segment_of_list = found  # type: ignore[attr-defined]
        segment: Segment | None = request._segment_of_list  # type: ignore[attr-defined]
        return segment

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Show the list; of one segment with the tools that add to it."""
        context: dict[str, object] = {"export_query": request.GET.urlencode()}
        if (segment := self.segment_of_list(request)) is not None:
            context |= {"segment": segment, "title": self.title_of_list(segment), "noun": self.noun}
            if self.has_add_permission(request):
                form = MembersForm if self.model is CustomerAssignment else ItemsForm
                context |= {
                    "paste_form": form(zone=segment.site.time_zone or timezone.get_current_timezone()),
                    "paste_page": reverse(f"admin:segments_segment_add_{self.noun}", args=[segment.pk]),
                    "add_form": self.add_form(request, segment),
                    "combines": self.model is CustomerAssignment,
                }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    @property
    def noun(self) -> str:
        return "members" if self.model is CustomerAssignment else "items"

    def title_of_list(self, segment: Segment) -> str:
        text = (
            gettext("Members of {segment}")
            if self.model is CustomerAssignment
            else gettext("Products and categories of {segment}")
        )
        return text.format(segment=segment)

    def add_form(self, request: HttpRequest, segment: Segment) -> forms.Form:
        """Return the form that adds one customer, product or category by its name."""
        form = forms.Form(request.POST or None, prefix="one")
        names = ("customer",) if self.model is CustomerAssignment else ("product", "category")
        for name in names:
            field = self.model._meta.get_field(name)
            rows = visible_rows(field.related_model, request, self).filter(tenant=segment.tenant_id)
            widget = AutocompleteSelect(field, self.admin_site, tenant_id=segment.tenant_id)
            form.fields[name] = forms.ModelChoiceField(
                rows, widget=widget, required=False, label=gettext(str(field.verbose_name)).capitalize()
            )
        if self.model is ItemAssignment:
            form.fields["includes_subcategories"] = forms.BooleanField(
                required=False, label=_("With all subcategories")
            )
        return form

    def add_one(self, request: HttpRequest) -> HttpResponse:
        """Add one customer, product or category to the segment, with Undo."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        segment = self.segment_of_list(request)
        lists = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
        if segment is None:
            self.message_user(request, gettext("There is no such segment."), messages.ERROR)
            return HttpResponseRedirect(reverse(lists))
        page = f"{reverse(lists)}?{SEGMENT}={segment.pk}"
        form = self.add_form(request, segment)
        chosen = (
            [form.cleaned_data[name] for name in form.fields if form.cleaned_data.get(name)]
            if form.is_bound and form.is_valid()
            else []
        )
        if not chosen or chosen[0] is True:
            self.message_user(request, gettext("Choose what is to be added."), messages.ERROR)
            return HttpResponseRedirect(page)
        try:
            with contention_as_refusal():
                is_new = self._add(segment, chosen[0], form.cleaned_data)
        except DomainError as refused:
            self.message_user(request, refusal_text(refused), messages.ERROR)
            return HttpResponseRedirect(page)
        text = gettext("Added {name}.") if is_new else gettext("{name} was in the segment already.")
        message_with_undo(request, text.format(name=chosen[0]), back=page)
        return HttpResponseRedirect(page)

    def _add(
        self, segment: Segment, chosen: Customer | Product | Category, entered: dict[str, object]
    ) -> bool:
        tenant_id, segment_id, at = segment.tenant_id, segment.external_id, timezone.now()
        if isinstance(chosen, Customer):
            made = CustomerAssignment(tenant=segment.tenant, segment=segment, customer=chosen)
            row = read_body(CustomerAssignmentBody, customer_assignment_document(made))
            return bool(
                upsert_customer_assignment(tenant_id=tenant_id, segment_id=segment_id, row=row, at=at)
            )
        kind = ItemType.PRODUCT if isinstance(chosen, Product) else ItemType.CATEGORY
        below = kind is ItemType.CATEGORY and entered["includes_subcategories"]
        item = read_body(ItemAssignmentBody, {"id": chosen.external_id, "includeSubcategories": below})
        return bool(
            upsert_item_assignment(
                tenant_id=tenant_id, segment_id=segment_id, item_type=kind, row=item, at=at
            )
        )

    # --- export ---

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Send what the list shows, all its pages, as CSV that the import reads."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except UnusableParameters:
            return self.changelist_view(request)  # which says so
        response = StreamingHttpResponse(
            csv_lines(self.exported(rows)), content_type="text/csv; charset=utf-8"
        )
        response["Content-Disposition"] = f'attachment; filename="{self.noun}.csv"'
        return response

    def exported(self, rows: QuerySet) -> Iterator[list[object]]:
        is_member = self.model is CustomerAssignment
        own = ["customerId", "email", "legalEntityId"] if is_member else ["type", "id", "code"]
        yield ["segmentId", *own, "validity.from", "validity.to", "createdAt"]
        for row in rows.order_by("-pk").iterator(chunk_size=2_000):
            if is_member:
                company = row.legal_entity.external_id if row.legal_entity else ""
                values = [row.customer.external_id, row.customer.email or "", company]
            else:
                item = row.product or row.category
                values = [row.type, item.external_id, item.code or ""]
            window = [format_time(end) if end else "" for end in (row.valid_from, row.valid_to)]
            yield [row.segment.external_id, *values, *window, format_time(row.created_at)]

    # --- actions ---

    @admin.action(description=_("Remove from the segment"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet) -> None:
        """Take the chosen out of their segments at once, with Undo; the site's own deletion asks."""
        number = remove_assignments(assignments=queryset)
        message_with_undo(
            request, gettext("Removed {number} from the segment.").format(number=exact_count(number))
        )

    @admin.action(description=_("Copy to another segment …"), permissions=["add"])
    def copy_to(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self._to_segment(request, queryset, moves=False)

    @admin.action(description=_("Move to another segment …"), permissions=["add", "delete"])
    def move_to(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        return self._to_segment(request, queryset, moves=True)

    def _to_segment(self, request: HttpRequest, queryset: QuerySet, *, moves: bool) -> HttpResponse | None:
        first = queryset.select_related(None).order_by("-pk").first()
        segments = visible_rows(Segment, request, self)
        if first is not None:
            segments = segments.filter(tenant=first.tenant_id)
        form = TargetForm(
            request.POST if APPLIED in request.POST else None, segments=segments, admin_site=self.admin_site
        )
        title = gettext("Move to another segment") if moves else gettext("Copy to another segment")
        if not (form.is_bound and form.is_valid()):
            return self._ask(request, queryset, form, title, gettext("Move") if moves else gettext("Copy"))
        target: Segment = form.cleaned_data["segment"]
        rows = self.model._base_manager.filter(
            pk__in=queryset.order_by().values("pk"), tenant=target.tenant_id
        )
        at = timezone.now()
        if moves:
            added, removed = move_assignments(assignments=rows, target=target, at=at)
            text = gettext("Moved {removed} to {segment}").format(
                removed=exact_count(removed), segment=target
            )
        else:
            added = copy_assignments(assignments=rows, target=target, at=at)
            text = gettext("Copied to {segment}").format(segment=target)
        new = ngettext("{number} is new there", "{number} are new there", added)
        message_with_undo(request, f"{text}: {new.format(number=exact_count(added))}.")
        return None

    @admin.action(description=_("Set dates …"), permissions=["change"])
    def change_dates(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        segment = self.segment_of_list(request)
        form = WindowsForm(request.POST if APPLIED in request.POST else None)
        zone = None if segment is None else segment.site.time_zone
        for field in form.fields.values():
            if isinstance(field, MomentField) and zone is not None:
                field.use_zone(zone)
        if not (form.is_bound and form.is_valid()):
            return self._ask(request, queryset, form, gettext("Set dates"), gettext("Set dates"))
        number = set_windows(assignments=queryset, at=timezone.now(), **form.cleaned_data)
        message_with_undo(
            request, gettext("Changed the dates of {number}.").format(number=exact_count(number))
        )
        return None

    def _ask(
        self, request: HttpRequest, queryset: QuerySet, form: forms.Form, title: str, button: str
    ) -> TemplateResponse:
        entered = {*form.fields, *(f"{name}_{part}" for name in form.fields for part in (0, 1)), APPLIED}
        across = request.POST.get("select_across") == "1"
        number = len(request.POST.getlist(helpers.ACTION_CHECKBOX_NAME))
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "form": form,
            "button": button,
            "number": gettext("all that match") if across else exact_count(number),
            "rows": list(queryset[:10]),
            "repeated": [pair for pair in repeated_values(request) if pair[0] not in entered],
            "back": request.get_full_path(),
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/segments/chosen.html", context)
