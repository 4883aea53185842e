from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteFilter, ReadOnlyAdmin
from core.admin.counts import exact_count
from core.admin.faults import fault_text
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
UNDOABLE = (ImportState.FINISHED, ImportState.STOPPED, ImportState.FAILED)


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
        "Files that were imported by command. What was stopped goes on with --resume; undo_import"
        " undoes an import of any kind."
    )
    empty_state = _("Imports are started on the server: see docs/bulk-upserts.md.")
    list_display = (
        "id",
        "kind",
        "mode",
        "state",
        "file_name",
        "started_by",
        "started_at",
        "rows",
        "created",
        "changed",
        "removed",
        "refused",
    )
    list_display_links = ("id", "file_name")
    list_filter = ("state", "kind", "mode")
    search_fields = ("file_name", "=file_digest", "=started_by")
    search_help_text = _("A part of a file's name, a whole digest, or an account.")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("kind", "mode", "is_atomic", "state", "message")}),
        (_("Rows"), {"fields": (*COUNTS, "refused_by_reason", "committed_line")}),
        (_("File"), {"fields": ("file_name", "file_size", "file_digest")}),
        (_("Run"), {"fields": ("started_by", "host", "started_at", "finished_at", "undone_at")}),
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
                self.message_user(request, fault_text(refused.message), messages.ERROR)
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
    list_display = ("line", "reason", "message", "source", "run")
    list_select_related = ("run",)
    list_filter = (("run", AutocompleteFilter), "reason")
    search_fields = ("source", "message")
    search_help_text = _("A part of the row or of the message.")
    ordering = ("run", "line", "id")
    fields = ("run", "line", "reason", "message", "source")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("run")
