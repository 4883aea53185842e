"""The actions that assign selected categories and products to a segment.

The catalogue knows nothing of segments: `catalog.extensions` takes the action into its list.
"""

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin.actions import needs_right
from core.admin.counts import exact_count
from core.admin.faults import refusal_text
from core.admin.undo import message_with_undo
from core.errors import Unavailable
from core.unavailability import contention_as_refusal
from segments.bodies import ItemAssignmentBody
from segments.bulk_add import Line, preview_items
from segments.forms.chosen import SegmentChoice
from segments.models import Segment
from segments.operations.items import ItemType, upsert_item_assignments

MOST_ITEMS = 10_000

ASSIGN = "segments.add_itemassignment"


class SegmentForm(SegmentChoice):
    """The segment that the categories go into."""

    def add_fields(self) -> None:
        self.fields["segment"] = self.segment_field()
        self.fields["includes_subcategories"] = forms.BooleanField(
            label=_("With subcategories"),
            required=False,
            help_text=_("All categories below them count too, also those that are added later."),
        )


@needs_right(ASSIGN)
@admin.action(description=_("Assign selected categories to a segment"))
def assign_to_segment(
    model_admin: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet
) -> HttpResponse | None:
    """Ask for the segment, then assign the categories that are not in it yet."""
    return ask_and_assign(model_admin, request, queryset, ItemType.CATEGORY)


@needs_right(ASSIGN)
@admin.action(description=_("Add selected products to a segment"))
def add_to_segment(
    model_admin: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet
) -> HttpResponse | None:
    """Ask for the segment, then assign the products that are not in it yet."""
    return ask_and_assign(model_admin, request, queryset, ItemType.PRODUCT)


def ask_and_assign(
    model_admin: admin.ModelAdmin, request: HttpRequest, queryset: QuerySet, item_type: ItemType
) -> HttpResponse | None:
    if not request.user.has_perm(ASSIGN):
        raise PermissionDenied  # whichever list the action was asked of
    is_category = item_type is ItemType.CATEGORY
    segments = model_admin.admin_site.get_model_admin(Segment).get_queryset(request)
    is_answer = "_assign" in request.POST
    form = SegmentForm(
        request.POST if is_answer else None, segments=segments, admin_site=model_admin.admin_site
    )
    if not is_category:
        del form.fields["includes_subcategories"]
    keys = list(queryset.order_by().values_list("pk", flat=True)[: MOST_ITEMS + 1])
    if len(keys) > MOST_ITEMS:
        text = gettext("Select at most {most} at a time.").format(most=exact_count(MOST_ITEMS))
        model_admin.message_user(request, text, messages.ERROR)
        return None
    assigned: tuple[int, int] | None = None
    if is_answer and form.is_valid():
        segment = form.cleaned_data["segment"]
        try:
            with contention_as_refusal():
                below = form.cleaned_data.get("includes_subcategories", False)
                assigned = assign(segment, queryset, item_type, below)
        except Unavailable as busy:
            form.add_error(None, refusal_text(busy))
    if assigned is not None:
        added, present = assigned
        text = (
            ngettext(
                "Assigned {added} category to {segment}.",
                "Assigned {added} categories to {segment}.",
                added,
            )
            if is_category
            else ngettext(
                "Added {added} product to {segment}.", "Added {added} products to {segment}.", added
            )
        ).format(added=exact_count(added), segment=segment)
        if present:
            text += " " + ngettext(
                "{present} was assigned already and left unchanged.",
                "{present} were assigned already and left unchanged.",
                present,
            ).format(present=exact_count(present))
        message_with_undo(request, text)
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": _("Assign categories to a segment") if is_category else _("Add products to a segment"),
        "opts": model_admin.opts,
        "form": form,
        "action": request.POST.get("action", ""),
        "categories": queryset[:100],
        "more": max(0, len(keys) - 100),
        "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across") == "1",
        "media": model_admin.media + form.media,
    }
    return TemplateResponse(request, "admin/segments/assign_categories.html", context)


def assign(
    segment: Segment, items: QuerySet, item_type: ItemType, includes_subcategories: bool
) -> tuple[int, int]:
    """Assign the items of the segment's tenant; return how many, and how many were assigned already."""
    named = items.order_by().filter(tenant=segment.tenant_id).values_list("external_id", flat=True)
    lines = [Line(number, item_id) for number, item_id in enumerate(named, start=1)]
    preview = preview_items(segment=segment, item_type=item_type, lines=lines)
    outcomes = upsert_item_assignments(
        tenant_id=segment.tenant_id,
        segment_id=segment.external_id,
        item_type=item_type,
        rows=[
            ItemAssignmentBody(id=item_id, includes_subcategories=includes_subcategories)
            for item_id in preview.new
        ],
        at=timezone.now(),
    )
    return sum(outcome.created for outcome in outcomes), len(preview.present)
