"""The action that assigns selected categories of the tree to a segment.

The catalogue knows nothing of segments: `catalog.extensions` takes the action into its list.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import AdminSite, helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core.admin import AutocompleteSelect
from core.errors import Unavailable
from core.unavailability import contention_as_refusal
from segments.bodies import ItemAssignmentBody
from segments.bulk_add import Line, preview_items
from segments.models import ItemAssignment, Segment
from segments.operations.items import ItemType, upsert_item_assignments


class SegmentForm(forms.Form):
    """The segment that the categories go into."""

    required_css_class = "required"

    def __init__(self, *arguments: Any, segments: QuerySet, admin_site: AdminSite, **options: Any) -> None:
        super().__init__(*arguments, **options)
        field = ItemAssignment._meta.get_field("segment")
        self.fields["segment"] = forms.ModelChoiceField(
            segments, widget=AutocompleteSelect(field, admin_site), help_text=_("Search by name or id.")
        )
        self.fields["includes_subcategories"] = forms.BooleanField(
            label=_("With subcategories"),
            required=False,
            help_text=_("All categories below them count too, also those that are added later."),
        )


@admin.action(description=_("Assign selected categories to a segment"))
def assign_to_segment(model_admin: Any, request: HttpRequest, queryset: QuerySet) -> Any:
    """Ask for the segment, then assign the categories that are not in it yet."""
    user: Any = request.user
    if not user.has_perm("segments.add_itemassignment"):
        raise PermissionDenied
    segments = model_admin.admin_site.get_model_admin(Segment).get_queryset(request)
    is_answer = "_assign" in request.POST
    form = SegmentForm(
        request.POST if is_answer else None, segments=segments, admin_site=model_admin.admin_site
    )
    assigned: tuple[int, int] | None = None
    if is_answer and form.is_valid():
        segment = form.cleaned_data["segment"]
        try:
            with contention_as_refusal():
                assigned = assign(segment, queryset, form.cleaned_data["includes_subcategories"])
        except Unavailable as busy:
            form.add_error(None, busy.message)
    if assigned is not None:
        added, present = assigned
        noun = "category" if added == 1 else "categories"
        if added:
            segment_admin = model_admin.admin_site.get_model_admin(Segment)
            segment_admin.log_change(request, segment, f"Added {added:,} {noun}.")
        text = ngettext(
            "Assigned {added:,} category to {segment}.", "Assigned {added:,} categories to {segment}.", added
        ).format(added=added, segment=segment)
        if present:
            text += " " + ngettext(
                "{present:,} was assigned already and left unchanged.",
                "{present:,} were assigned already and left unchanged.",
                present,
            ).format(present=present)
        model_admin.message_user(request, text, messages.SUCCESS)
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Assign categories to a segment"),
        "opts": model_admin.opts,
        "form": form,
        "categories": queryset[:100],
        "more": max(0, queryset.count() - 100),
        "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across") == "1",
        "media": model_admin.media + form.media,
    }
    return TemplateResponse(request, "admin/segments/assign_categories.html", context)


def assign(segment: Segment, categories: QuerySet, includes_subcategories: bool) -> tuple[int, int]:
    """Assign the categories of the segment's tenant; return how many, and how many were assigned already."""
    named = categories.order_by().filter(tenant=segment.tenant_id).values_list("external_id", flat=True)
    lines = [Line(number, category_id) for number, category_id in enumerate(named, start=1)]
    preview = preview_items(segment=segment, item_type=ItemType.CATEGORY, lines=lines)
    outcomes = upsert_item_assignments(
        tenant_id=segment.tenant_id,
        segment_id=segment.external_id,
        item_type=ItemType.CATEGORY,
        rows=[
            ItemAssignmentBody(id=category_id, includes_subcategories=includes_subcategories)
            for category_id in preview.new
        ],
        at=timezone.now(),
    )
    return sum(outcome.created for outcome in outcomes), len(preview.present)
