from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteFilter, ReadOnlyAdmin
from core.admin.counts import exact_count
from core.admin.faults import fault_text, refusal_text
from core.admin.undo import page_after
from core.admin.undo_pages import PERMISSIONS, may, say_undone
from core.errors import DomainError
from core.imports.models import ImportReject, ImportRun, ImportState
from core.imports.undo import job_of, undo_import
from core.journal.declarations import recorded_as
from core.journal.models import Change
from core.journal.undo.plans import LARGEST_AT_ONCE
from core.journal.undo.rules import objects_taken_back
from core.unavailability import contention_as_refusal

COUNTS = ("rows", "created", "changed", "unchanged", "repeated", "removed", "refused")
SECONDS_BETWEEN_LOOKS = 3
UNDOABLE = (ImportState.FINISHED, ImportState.STOPPED, ImportState.FAILED)


def remaining(run: ImportRun) -> int:
    """Return how many rows of the import a worker is still to write."""
    return sum(run.parts.values_list("count", flat=True))


def may_undo(request: HttpRequest, run: ImportRun) -> bool:
    """Say whether the user may write the opposite of everything that the import did, if it did anything."""
    done = Change.objects.filter(
        tenant=run.tenant_id,
        source_type="import",
        source_id=str(run.pk),
        is_cascade=False,
        object__in=objects_taken_back(),
    )
    kinds = set(done.order_by().values_list("object", "kind").distinct())
    return bool(kinds) and all(
        may(request, PERMISSIONS[kind], recorded_as(name).model) for name, kind in kinds
    )


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnlyAdmin):
    explanation = _(
        "Files that were imported by command or over HTTP, and lists that were pasted or uploaded here."
        " Each can be undone."
    )
    empty_state = _(
        "Paste or upload a list on a segment's page. Files are imported as docs/bulk-upserts.md says."
    )
    list_display = ("id", "file", "kind_and_mode", "state", "started_at", "outcome")
    list_display_links = ("id", "file")
    list_filter = ("state", "kind", "mode")
    search_fields = ("file_name", "=file_digest", "=started_by")
    search_help_text = _("A part of a file's name, a whole digest, or an account.")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("kind", "mode", "is_atomic", "state", "fault")}),
        (
            _("Rows"),
            {
                "fields": ("progress", *COUNTS, "refused_by_reason", "committed_line"),
                "classes": ("counter",),
                "description": _(
                    "Counters of the file's rows, which are not kept. “Refused rows” above lists those that"
                    " were refused, “What it changed” the changes."
                ),
            },
        ),
        (_("File"), {"fields": ("file_name", "file_size", "file_digest")}),
        (_("Run"), {"fields": ("started_by", "host", "started_at", "finished_at", "undone_at")}),
    )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        """Show the import; the page is loaded again while a worker has rows to write."""
        response = super().change_view(request, object_id, form_url, extra_context)
        run = (getattr(response, "context_data", None) or {}).get("original")
        if run is not None and run.state == ImportState.RUNNING and remaining(run):
            response["Refresh"] = str(SECONDS_BETWEEN_LOOKS)
        return response

    @admin.display(description=_("File"), ordering="file_name")
    def file(self, run: ImportRun) -> SafeString:
        """The name of the file, and below it who brought it."""
        return format_html('{}<span class="below">{}</span>', run.file_name, run.started_by)

    @admin.display(description=_("Kind"), ordering="kind")
    def kind_and_mode(self, run: ImportRun) -> SafeString:
        return format_html('{}<span class="below">{}</span>', run.kind, run.mode)

    @admin.display(description=_("Rows"), ordering="rows")
    def outcome(self, run: ImportRun) -> SafeString:
        """How many rows were read, and below it what became of them; those refused have a list."""
        words = {
            "created": ngettext("{number} created", "{number} created", run.created),
            "changed": ngettext("{number} changed", "{number} changed", run.changed),
            "removed": ngettext("{number} removed", "{number} removed", run.removed),
        }
        parts = [
            format_html("{}", words[name].format(number=exact_count(getattr(run, name))))
            for name in words
            if getattr(run, name)
        ]
        if run.refused:
            text = ngettext("{number} refused", "{number} refused", run.refused)
            page = f"{reverse('admin:imports_importreject_changelist')}?run__id__exact={run.pk}"
            parts.append(
                format_html('<a href="{}">{}</a>', page, text.format(number=exact_count(run.refused)))
            )
        below = format_html_join(", ", "{}", ((part,) for part in parts))
        return format_html(
            '<span class="counter" title="{}">{}</span><span class="below">{}</span>',
            gettext("Rows of the file, which is not kept"),
            exact_count(run.rows),
            below,
        )

    @admin.display(description=_("Message"))
    def fault(self, row: ImportRun) -> str:
        return self.shown(fault_text(row.message))

    @admin.display(description=_("Progress"))
    def progress(self, run: ImportRun) -> object:
        """How many rows are done of those that a worker writes; of a command's file the end is not known."""
        left = remaining(run)
        done = exact_count(run.rows)
        if not left:
            return done
        text = gettext("{done} of {total} rows").format(done=done, total=exact_count(run.rows + left))
        return format_html(
            '<progress value="{}" max="{}" aria-label="{}"></progress> {}',
            run.rows,
            run.rows + left,
            gettext("Progress"),
            text,
        )

    def related_links(self, request: HttpRequest, obj: ImportRun) -> list[dict[str, object]]:
        shown = gettext("the first of {number}") if obj.refused else gettext("none")
        rejects = reverse("admin:imports_importreject_changelist")
        links: list[dict[str, object]] = [
            {
                "url": f"{rejects}?run__id__exact={obj.pk}",
                "text": _("Refused rows"),
                "note": shown.format(number=exact_count(obj.refused)),
            }
        ]
        if request.user.has_perm("journal.view_change"):
            page = f"{reverse('admin:journal_change_changelist')}?occasion=import&q={obj.pk}"
            links.append({"url": page, "text": _("What it changed"), "note": ""})
        if obj.state in UNDOABLE and may_undo(request, obj):
            page = reverse("admin:imports_importrun_undo", args=[obj.pk])
            links.append({"url": page, "text": _("Undo this import"), "note": "", "posts": True})
        return links

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "<int:pk>/undo/", self.admin_site.admin_view(self.undo_view), name="imports_importrun_undo"
        )
        return [page, *super().get_urls()]

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take the import back, where nobody has touched its rows since; a large one in the background."""
        run = self.get_queryset(request).filter(pk=pk).first() if pk < 2**63 else None
        if run is None:
            raise Http404
        is_own = run.started_by == request.user.get_username()
        if not (is_own or self.has_view_permission(request, run)) or not may_undo(request, run):
            raise PermissionDenied
        if request.method == "POST":
            try:
                with contention_as_refusal():
                    self._undo(request, run)
            except DomainError as refused:
                self.message_user(request, refusal_text(refused), messages.ERROR)
        return HttpResponseRedirect(page_after(request, reverse("admin:imports_importrun_change", args=[pk])))

    def _undo(self, request: HttpRequest, run: ImportRun) -> None:
        if run.created + run.changed + run.removed <= LARGEST_AT_ONCE:
            say_undone(request, undo_import(run=run, clock=timezone.now))
            return
        with transaction.atomic():
            job = job_of(run, timezone.now())
        text = gettext("The import is taken back in the background: see job {job}.")
        self.message_user(request, text.format(job=job.pk), messages.SUCCESS)


@admin.register(ImportReject)
class ImportRejectAdmin(ReadOnlyAdmin):
    explanation = _("Rows that an import refused, and why. Of each import the first thousand are kept.")
    empty_state = _("No row has been refused.")
    tenant_path = "run__tenant"
    list_display = ("line", "reason", "fault", "source", "run")
    list_select_related = ("run",)
    list_filter = (("run", AutocompleteFilter), "reason")
    search_fields = ("source", "message")
    search_help_text = _("A part of the row or of the message.")
    ordering = ("run", "line", "id")
    fields = ("run", "line", "reason", "fault", "source")

    @admin.display(description=_("Message"))
    def fault(self, row: ImportReject) -> str:
        return self.shown(fault_text(row.message))

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("run")
