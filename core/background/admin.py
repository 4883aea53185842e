from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyAdmin
from core.background.models import Job


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    explanation = _("Long work that was asked for and that the server does by and by.")
    empty_state = _("Nothing has been asked for yet that takes longer than a moment.")
    list_display = ("id", "kind", "state", "requested_by", "created_at", "started_at", "finished_at", "error")
    list_display_links = ("id", "kind")
    list_filter = ("state", "kind")
    search_fields = ("=requested_by",)
    search_help_text = _("Who asked for it, in full.")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("kind", "arguments", "requested_by", "created_at")}),
        (_("State"), {"fields": ("state", "progress", "result", "error", "attempts", "due_at")}),
        (_("Run"), {"fields": ("started_at", "finished_at")}),
    )
