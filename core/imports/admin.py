from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteFilter, ReadOnlyAdmin
from core.imports.models import ImportReject, ImportRun

COUNTS = ("rows", "created", "changed", "unchanged", "repeated", "removed", "refused")


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

    def related_links(self, request: HttpRequest, obj: ImportRun) -> list[dict[str, Any]]:
        shown = gettext("the first of {number:,}") if obj.refused else gettext("none")
        rejects = reverse("admin:imports_importreject_changelist")
        return [
            {
                "url": f"{rejects}?run__id__exact={obj.pk}",
                "text": _("Refused rows"),
                "note": shown.format(number=obj.refused),
            }
        ]


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
