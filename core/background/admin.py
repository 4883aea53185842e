from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyAdmin
from core.admin.faults import fault_text
from core.background.jobs import registered_job_kinds
from core.background.models import Job


def title_of(kind: str) -> str:
    """Return what people call a kind of jobs; its name where no package here knows it."""
    known = registered_job_kinds().get(kind)
    return gettext(known.title) if known is not None and known.title else kind


class KindFilter(admin.SimpleListFilter):
    """Jobs of one kind."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return sorted(((name, title_of(name)) for name in registered_job_kinds()), key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    explanation = _("Long work that was asked for and that the server does by and by.")
    empty_state = _("Nothing has been asked for yet that takes longer than a moment.")
    list_display = (
        "id",
        "kind_title",
        "state",
        "requested_by",
        "created_at",
        "finished_at",
        "fault",
    )
    list_display_links = ("id", "kind_title")
    list_filter = ("state", KindFilter)
    search_fields = ("=requested_by",)
    search_help_text = _("Who asked for it, in full.")
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("kind_title", "arguments", "requested_by", "created_at")}),
        (_("State"), {"fields": ("state", "progress", "result", "fault", "attempts", "due_at")}),
        (_("Run"), {"fields": ("started_at", "finished_at")}),
    )

    @admin.display(description=_("Kind"), ordering="kind")
    def kind_title(self, job: Job) -> str:
        return title_of(job.kind)

    @admin.display(description=_("Error"))
    def fault(self, job: Job) -> str:
        return self.shown(fault_text(job.error))
