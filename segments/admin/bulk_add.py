"""The pages of a segment that add whole lists of customers or items, after a look at what would happen."""

from dataclasses import dataclass

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer
from catalog.models import Category, Product
from core.admin.confirmation import Fact
from core.admin.counts import exact_count
from core.admin.faults import refusal_text
from core.admin.filters import visible_rows
from core.admin.keys import key_of
from core.admin.undo import button
from core.errors import DomainError
from core.imports.models import ImportRun
from core.imports.parts import SHOWN_ROWS, apply_import
from core.unavailability import contention_as_refusal
from segments.admin.effect_facts import opened_facts, viewers_fact
from segments.forms.bulk_add import BulkAddForm, ItemsForm, MembersForm
from segments.models import Segment
from segments.operations.items import ItemType
from segments.pasted_lists import (
    MOST_ENTRIES,
    MOST_SUGGESTED,
    Listed,
    ListPreview,
    Resolver,
    TooManyEntries,
    accept_suggestions,
    prepare_list,
)

SECTIONS = {
    "new": _("New"),
    "present": _("There already, left as they are"),
    "repeated": _("Named more than once"),
}
TITLES = {"members": _("Add members"), "items": _("Add products or categories")}
KINDS = {"members": MembersForm.kind, "items": ItemsForm.kind}


@dataclass(frozen=True, slots=True)
class ShownEntry:
    """An entry of the list, what it means, and the page of that."""

    entry: Listed
    meaning: str
    url: str


@dataclass(frozen=True, slots=True)
class Section:
    """The entries that a number of the preview counts, the first ones of many."""

    name: str
    title: str
    number: int
    entries: list[ShownEntry]


def accepted_suggestions(request: HttpRequest) -> dict[str, str]:
    """Return the ids that entries are to mean, by the entries: an id has no blank, an entry may."""
    pairs = (text.partition(" ") for text in request.POST.getlist("suggestion")[:MOST_SUGGESTED])
    return {entry: found_id for found_id, _, entry in pairs if entry}


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
        return self._add(request, segment, MembersForm, "members")

    def add_items(self, request: HttpRequest, key: int) -> HttpResponse:
        """Take a list of products or categories, show what adding them would do, and do it."""
        segment = self._segment(request, key, "segments.add_itemassignment")
        return self._add(request, segment, ItemsForm, "items")

    def _add(
        self, request: HttpRequest, segment: Segment, kind: type[BulkAddForm], what: str
    ) -> HttpResponse:
        form = self._form(request, segment, kind)
        prepared = self._prepared(request, segment, what)
        preview: ListPreview | None = None
        try:
            with contention_as_refusal():
                if prepared is not None:
                    if accepted := accepted_suggestions(request):
                        accept_suggestions(prepared, accepted)
                    return self._apply(request, segment, prepared, what)
                if form.is_bound and form.is_valid():
                    preview = self._prepare(request, segment, form)
                    if preview is not None and "_apply" in request.POST:
                        return self._apply(request, segment, preview.run, what)
        except DomainError as refused:
            self.message_user(request, refusal_text(refused), messages.ERROR)
            if preview is None:
                return HttpResponseRedirect(request.get_full_path())
        return self._page(request, segment, form, preview, what)

    def _form(self, request: HttpRequest, segment: Segment, kind: type[BulkAddForm]) -> BulkAddForm:
        zone = segment.site.time_zone or timezone.get_current_timezone()
        if "_edit" in request.POST:
            entered = kind(request.POST, zone=zone)
            initial = {field.name: field.value() for field in entered if field.name != "upload"}
            return kind(initial=initial, zone=zone)
        if request.method == "POST":
            return kind(request.POST, request.FILES, zone=zone)
        return kind(zone=zone)

    def _prepared(self, request: HttpRequest, segment: Segment, what: str) -> ImportRun | None:
        """Return the import that a preview prepared for this segment and person and that is to be applied."""
        key = key_of(request.POST.get("prepared", ""))
        if key is None or "_apply" not in request.POST:
            return None
        user = request.user
        runs = ImportRun.objects.filter(tenant=segment.tenant_id, kind=KINDS[what])
        run = runs.filter(pk=key, started_by=user.get_username()).first()
        first = run.parts.order_by("number").first() if run else None
        if run and first and first.rows[0][1]["segmentId"] != segment.external_id:
            return None
        return run

    def _segment(self, request: HttpRequest, key: int, permission: str) -> Segment:
        user = request.user
        if not user.has_perm(permission) or not self.has_view_permission(request):
            raise PermissionDenied
        segment = self.get_queryset(request).select_related("site").filter(pk=key).first()
        if segment is None:
            raise Http404("There is no such segment.")
        return segment

    def _prepare(self, request: HttpRequest, segment: Segment, form: BulkAddForm) -> ListPreview | None:
        """Prepare the list; None, with an error of the form, when it cannot be read or is too long."""
        item_type = form.cleaned_data.get("item_type")
        resolver = Resolver(
            segment,
            form.validity(),
            ItemType(item_type) if item_type else None,
            form.cleaned_data.get("includes_subcategories", False),
        )
        user = request.user
        lines = form.lines()
        try:
            preview = prepare_list(
                resolver, lines, name=form.source, by=user.get_username(), at=timezone.now()
            )
        except UnicodeDecodeError:
            form.add_error("upload", _("The file is not UTF-8 text."))
            return None
        except ValidationError as refused:
            form.add_error("upload", refused)
            return None
        except TooManyEntries:
            text = gettext("The list has more than {most} entries. Use the import commands for it.")
            form.add_error("upload", text.format(most=exact_count(MOST_ENTRIES)))
            return None
        preview.ignored = lines.ignored
        return preview

    def _apply(self, request: HttpRequest, segment: Segment, run: ImportRun, what: str) -> HttpResponse:
        """Add the list, and say what was done; a long one is added in the background."""
        user = request.user
        job = apply_import(run, by=user.get_username(), at=timezone.now())
        if job is not None:
            text = gettext("The list is being added in the background. This page shows how far it is.")
            self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(reverse("admin:imports_importrun_change", args=(run.pk,)))
        run.refresh_from_db()
        text = ngettext(
            "Added {number} to the segment.", "Added {number} to the segment.", run.created
        ).format(number=exact_count(run.created))
        model = "customerassignment" if what == "members" else "itemassignment"
        page = f"{reverse(f'admin:segments_{model}_changelist')}?segment__id__exact={segment.pk}"
        undo = button(
            request,
            page=reverse("admin:imports_importrun_undo", args=[run.pk]),
            text=gettext("Undo"),
            back=page,
        )
        message = format_html("{} {}", text, undo) if run.created else text
        self.message_user(request, message, messages.SUCCESS)
        return HttpResponseRedirect(page)

    def _sections(self, request: HttpRequest, segment: Segment, preview: ListPreview) -> list[Section]:
        """Return the entries that the numbers of the preview count, with names that the reader may see."""
        user = request.user
        entries = [entry for rows in preview.listed.values() for entry in rows]
        names: dict[tuple[str, str], tuple[str, str]] = {}
        for kind, model in (("customer", Customer), ("product", Product), ("category", Category)):
            ids = {entry.id for entry in entries if entry.kind == kind}
            app_label, model_name = model._meta.app_label, model._meta.model_name
            if not ids or not user.has_perm(f"{app_label}.view_{model_name}"):
                continue
            rows = visible_rows(model, request, self).filter(tenant=segment.tenant_id, external_id__in=ids)
            for row in rows:
                page = reverse(f"admin:{app_label}_{model_name}_change", args=[row.pk])
                names[kind, row.external_id] = (str(row), page)
        return [
            Section(
                name,
                str(text),
                getattr(preview, name),
                [
                    ShownEntry(one, *names.get((one.kind, one.id), (one.id, "")))
                    for one in preview.listed[name]
                ],
            )
            for name, text in SECTIONS.items()
        ]

    def _effect(self, request: HttpRequest, segment: Segment, what: str) -> list[Fact]:
        """Return what adding the list does to shoppers; nothing while the segment does not count."""
        at = timezone.now()
        if not Segment.objects.effective_at(at).filter(pk=segment.pk).exists():
            return []
        return opened_facts(request, segment, at) if what == "members" else [viewers_fact(segment)]

    def _page(
        self,
        request: HttpRequest,
        segment: Segment,
        form: BulkAddForm,
        preview: ListPreview | None,
        what: str,
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": TITLES[what],
            "subtitle": str(segment),
            "opts": self.opts,
            "segment": segment,
            "form": form,
            "preview": preview,
            "facts": self._effect(request, segment, what) if preview is not None and preview.new else [],
            "most_shown": SHOWN_ROWS,
            "sections": self._sections(request, segment, preview) if preview is not None else [],
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "admin/segments/bulk_add.html", context)
