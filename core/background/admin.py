from django.contrib import admin

from core.admin import ReadOnlyAdmin
from core.background.models import Job


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    explanation = "Long work that was asked for and that the server does by and by."
    empty_state = "Nothing has been asked for yet that takes longer than a moment."
    list_display = ("id", "kind", "state", "requested_by", "created_at", "started_at", "finished_at", "error")
    list_display_links = ("id", "kind")
    list_filter = ("state", "kind")
    search_fields = ("=requested_by",)
    search_help_text = "Who asked for it, in full."
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("kind", "arguments", "requested_by", "created_at")}),
        ("State", {"fields": ("state", "progress", "result", "error", "attempts", "due_at")}),
        ("Run", {"fields": ("started_at", "finished_at")}),
    )
