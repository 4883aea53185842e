"""The pages of a segment that add whole lists of customers or items, after a look at what would happen."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.actors import with_source
from core.bodies import Validity
from core.errors import Unavailable
from core.unavailability import contention_as_refusal
from segments.bodies import CustomerAssignmentBody, ItemAssignmentBody, Member
from segments.bulk_add import BulkAddPreview, preview_customers, preview_items
from segments.forms.bulk_add import BulkAddForm, ItemsForm, MembersForm
from segments.models import Segment
from segments.operations.customers import upsert_customer_assignments
from segments.operations.items import ItemType, upsert_item_assignments

MOST_SHOWN = 100


class BulkAddPages(admin.ModelAdmin):
    """Adds the pages to the segment's admin."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:key>/members/add/", view(self.add_members), name="segments_segment_add_members"),
            path("<int:key>/items/add/", view(self.add_items), name="segments_segment_add_items"),
            *super().get_urls(),
        ]

    def add_members(self, request: HttpRequest, key: int) -> HttpResponse:
        """Take a list of customers, show what adding them would do, and do it."""
        segment = self._segment(request, key, "segments.add_customerassignment")
        form = self._form(request, MembersForm)
        preview: BulkAddPreview[Member] | None = None
        if form.is_bound and form.is_valid():
            preview = preview_customers(segment=segment, lines=form.lines)
            if "_apply" in request.POST:
                try:
                    with contention_as_refusal(), with_source("paste"):
                        outcomes = self._write_members(segment, form, preview)
                except Unavailable as busy:
                    form.add_error(None, busy.message)
                else:
                    return self._apply(request, segment, "customers", outcomes)
        return self._page(request, segment, form, preview, "members")

    def add_items(self, request: HttpRequest, key: int) -> HttpResponse:
        """Take a list of products or categories, show what adding them would do, and do it."""
        segment = self._segment(request, key, "segments.add_itemassignment")
        form = self._form(request, ItemsForm)
        preview: BulkAddPreview[str] | None = None
        if form.is_bound and form.is_valid():
            item_type = ItemType(form.cleaned_data["item_type"])
            preview = preview_items(segment=segment, item_type=item_type, lines=form.lines)
            if "_apply" in request.POST:
                try:
                    with contention_as_refusal(), with_source("paste"):
                        outcomes = self._write_items(segment, form, preview)
                except Unavailable as busy:
                    form.add_error(None, busy.message)
                else:
                    return self._apply(request, segment, "items", outcomes)
        return self._page(request, segment, form, preview, "items")

    def _form(self, request: HttpRequest, kind: type[BulkAddForm]) -> BulkAddForm:
        if "_edit" in request.POST:
            entered = kind(request.POST)
            return kind(initial={field.name: field.value() for field in entered if field.name != "upload"})
        return kind(request.POST, request.FILES) if request.method == "POST" else kind()

    def _segment(self, request: HttpRequest, key: int, permission: str) -> Segment:
        user: Any = request.user
        if not user.has_perm(permission) or not self.has_view_permission(request):
            raise PermissionDenied
        segment = self.get_queryset(request).filter(pk=key).first()
        if segment is None:
            raise Http404(_("There is no such segment."))
        return segment

    def _write_members(self, segment: Segment, form: BulkAddForm, preview: BulkAddPreview[Member]) -> Any:
        validity = self._validity(form)
        rows = [
            CustomerAssignmentBody(
                customer_id=member.customer_id, legal_entity_id=member.legal_entity_id, validity=validity
            )
            for member in preview.new
        ]
        return upsert_customer_assignments(
            tenant_id=segment.tenant_id, segment_id=segment.external_id, rows=rows, at=timezone.now()
        )

    def _write_items(self, segment: Segment, form: BulkAddForm, preview: BulkAddPreview[str]) -> Any:
        validity, includes = self._validity(form), form.cleaned_data["includes_subcategories"]
        rows = [
            ItemAssignmentBody(id=item_id, includes_subcategories=includes, validity=validity)
            for item_id in preview.new
        ]
        return upsert_item_assignments(
            tenant_id=segment.tenant_id,
            segment_id=segment.external_id,
            item_type=ItemType(form.cleaned_data["item_type"]),
            rows=rows,
            at=timezone.now(),
        )

    def _validity(self, form: BulkAddForm) -> Validity:
        return Validity(starts_at=form.cleaned_data["valid_from"], ends_at=form.cleaned_data["valid_to"])

    def _apply(self, request: HttpRequest, segment: Segment, what: str, outcomes: Any) -> HttpResponse:
        """Say and log what was done. What was deleted since the preview is left out and counted."""
        added = sum(outcome.created for outcome in outcomes)
        refused = sum(outcome.error is not None for outcome in outcomes)
        noun = what.removesuffix("s") if added == 1 else what
        if added:
            self.log_change(request, segment, f"Added {added:,} {noun}.")
        self.message_user(request, f"Added {added:,} {noun} to the segment.", messages.SUCCESS)
        if refused:
            self.message_user(request, f"Left out {refused:,}: gone since the preview.", messages.WARNING)
        model = "customerassignment" if what == "customers" else "itemassignment"
        page = reverse(f"admin:segments_{model}_changelist")
        return HttpResponseRedirect(f"{page}?segment__id__exact={segment.pk}")

    def _page(
        self,
        request: HttpRequest,
        segment: Segment,
        form: BulkAddForm,
        preview: BulkAddPreview[Any] | None,
        what: str,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"Add {what}",
            "subtitle": str(segment),
            "opts": self.opts,
            "segment": segment,
            "form": form,
            "what": what,
            "preview": preview,
            "most_shown": MOST_SHOWN,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/segments/bulk_add.html", context)
