"""The page "Activity": everybody's changes in words, and taking them back."""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from core.admin import ReadOnlyAdmin
from core.admin.undo_pages import PERMISSIONS, OccasionUndo, may
from core.errors import DomainError
from core.journal.declarations import RecordedAssignments, recorded, recorded_as
from core.journal.histories import shown_changes
from core.journal.models import Change
from core.journal.undo.jobs import enqueue_undo
from core.journal.undo.plans import LARGEST_AT_ONCE, plan_undo, undo_change
from core.journal.words import add_sentences, all_nouns, noun_of_object, occasion_of, person_of
from core.unavailability import contention_as_refusal


class ChoiceFilter(admin.SimpleListFilter):
    """Changes whose column has one of a few values."""

    column = ""
    choices_of_filter: tuple[tuple[str, str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return self.choices_of_filter

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class PersonFilter(ChoiceFilter):
    title = parameter_name = "by"
    column = "actor_type"
    choices_of_filter = (
        ("staff", "Staff"),
        ("client", "API clients"),
        ("customer", "Customers"),
        ("command", "Commands"),
        ("rule", "Rules"),
        ("sql", "SQL by hand"),
    )


class SourceFilter(ChoiceFilter):
    title = parameter_name = "occasion"
    column = "source_type"
    choices_of_filter = (
        ("admin", "Page of the admin"),
        ("request", "API request"),
        ("import", "Import"),
        ("paste", "Pasted list"),
        ("undo", "Undo"),
        ("undo-import", "Undo of an import"),
    )


class ObjectFilter(ChoiceFilter):
    title = parameter_name = "what"
    column = "object"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return all_nouns()


class TimeFilter(admin.SimpleListFilter):
    title = parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("1", "Last 24 hours"), ("7", "Last 7 days"), ("30", "Last 30 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in ("1", "7", "30"):
            return queryset
        return queryset.filter(at__gte=timezone.now() - timedelta(days=int(self.value() or 0)))


@admin.register(Change)
class ChangeAdmin(OccasionUndo, ReadOnlyAdmin):
    explanation = (
        "What everybody changed, the newest first: staff, programs, imports, commands and deletions."
    )
    empty_state = "Nothing has been changed yet."
    list_display = ("at", "who", "did", "subject", "occasion", "undo_link")
    list_display_links = None
    list_filter = (PersonFilter, SourceFilter, ObjectFilter, TimeFilter)
    search_fields = ("=actor_id", "=actor_name", "=external_id", "=source_id")
    search_help_text = (
        "A person, program or command, the id of what changed, or the id of an import or request."
    )
    ordering = ("-id",)
    sortable_by = ()
    fields = ("at", "who", "did", "subject", "occasion")
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        page = path("<int:pk>/undo/", self.admin_site.admin_view(self.undo_view), name="journal_change_undo")
        return [page, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Keep the changes of what the user may see."""
        seen = [
            name
            for one in recorded()
            if may(request, "view", one.model)
            for name in (one.members if isinstance(one, RecordedAssignments) else (one.object,))
        ]
        return shown_changes(super().get_queryset(request).filter(object__in=seen))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        add_sentences(rows)
        found.result_list = rows
        return found

    @admin.display(description="Who")
    def who(self, change: Change) -> str:
        return person_of(change)

    @admin.display(description="What they did")
    def did(self, change: Any) -> str:
        if not hasattr(change, "sentence"):
            add_sentences([change])
        return change.sentence

    @admin.display(description="Of")
    def subject(self, change: Change) -> str:
        return f"{noun_of_object(change.object)} {change.external_id or ''}".strip()

    @admin.display(description="Occasion")
    def occasion(self, change: Change) -> str:
        return occasion_of(change)

    @admin.display(description="")
    def undo_link(self, change: Any) -> str:
        if not change.undoable:
            return ""
        return format_html('<a href="{}">Undo</a>', reverse("admin:journal_change_undo", args=[change.pk]))

    def undo_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask whether to take the change back, and do it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        change = self.get_queryset(request).filter(pk=pk).first() if pk < 2**63 else None
        if change is None:
            raise Http404
        action = PERMISSIONS[change.kind]
        if not may(request, action, recorded_as(change.object).model):
            raise PermissionDenied
        if request.method == "POST":
            self._undo(request, change)
            return HttpResponseRedirect(reverse("admin:journal_change_changelist"))
        add_sentences([change])
        context = {
            **self.admin_site.each_context(request),
            "title": "Take this change back?",
            "opts": self.opts,
            "change": change,
            "who": person_of(change),
            "subject": self.subject(change),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/journal/undo.html", context)

    def _undo(self, request: HttpRequest, change: Change) -> None:
        at = timezone.now()
        try:
            with contention_as_refusal(), transaction.atomic():
                plan = plan_undo(change.pk, tenant_id=change.tenant_id, at=at)
                if plan.rows > LARGEST_AT_ONCE:
                    job = enqueue_undo(plan, at=at)
                    message = f"{plan.rows:,} rows are taken back in the background: see job {job.pk}."
                    self.message_user(request, message, messages.SUCCESS)
                    return
                undone = undo_change(plan, at=at)
        except DomainError as refused:
            self.message_user(request, refused.message, messages.ERROR)
            return
        if undone.total:
            rows = "row was" if undone.total == 1 else "rows were"
            self.message_user(request, f"{undone.total:,} {rows} taken back.", messages.SUCCESS)
        if undone.total_left:
            reasons = sorted({entry["reason"] for entry in undone.left_alone})
            rows = "row was" if undone.total_left == 1 else "rows were"
            text = f"{undone.total_left:,} {rows} left alone: {'; '.join(reasons)}."
            self.message_user(request, text, messages.WARNING)
