"""The page "Activity": everybody's changes in words, and taking them back."""

from collections.abc import Sequence
from datetime import timedelta

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyAdmin, shown_moment
from core.admin.counts import exact_count
from core.admin.declared import Text
from core.admin.faults import fault_text, refusal_text
from core.admin.keys import key_of
from core.admin.panels import Content, Panel, Place, register_panel
from core.admin.tenants import staff_tenant_id
from core.admin.undo import page_after
from core.admin.undo_pages import PERMISSIONS, OccasionUndo, may, may_undo
from core.errors import DomainError
from core.filter_sources import FILTERED
from core.journal.declarations import RecordedAssignments, recorded, recorded_as
from core.journal.histories import add_undoable, history_condition, shown_changes
from core.journal.models import Change
from core.journal.searching import newest_found
from core.journal.undo.jobs import enqueue_undo
from core.journal.undo.plans import plan_undo, undo_change
from core.journal.words import add_sentences, all_nouns, occasion_of, person_of
from core.tenancy.models import Tenant
from core.unavailability import contention_as_refusal

MOST_RECENT = 8
BY_SHOPPERS = ("redemption", "reservation")
"""What shoppers change all the time, which would hide what people curate."""


class ChoiceFilter(admin.SimpleListFilter):
    """Changes whose column has one of a few values."""

    column = ""
    choices_of_filter: tuple[tuple[str, Text], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: object) -> Sequence[tuple[str, Text]]:
        return self.choices_of_filter

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class PersonFilter(ChoiceFilter):
    title = _("person")
    parameter_name = "by"
    column = "actor_type"
    choices_of_filter = (
        ("staff", _("Staff")),
        ("client", _("API clients")),
        ("customer", _("Customers")),
        ("command", _("Commands")),
        ("rule", _("Rules")),
        ("sql", _("SQL by hand")),
    )


class SourceFilter(ChoiceFilter):
    title = _("occasion")
    parameter_name = "occasion"
    column = "source_type"
    choices_of_filter = (
        ("admin", _("Page of the admin")),
        ("request", _("API request")),
        ("import", _("Import")),
        (FILTERED, _("Filtered list")),
        ("undo", _("Undo")),
        ("undo-import", _("Undo of an import")),
    )


class ObjectFilter(ChoiceFilter):
    title = _("kind of object")
    parameter_name = "what"
    column = "object"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        """Offer the kinds whose changes the user may see."""
        seen = set(visible_objects(request))
        return [pair for pair in all_nouns() if pair[0] in seen]


class TimeFilter(admin.SimpleListFilter):
    title = _("time")
    parameter_name = "when"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        return [("1", _("Last 24 hours")), ("7", _("Last 7 days")), ("30", _("Last 30 days"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in ("1", "7", "30"):
            return queryset
        return queryset.filter(at__gte=timezone.now() - timedelta(days=int(self.value() or 0)))


class SubjectFilter(admin.SimpleListFilter):
    """Changes of one row, such as a segment and its members: the address names its model and key."""

    title = _("object")
    parameter_name = "of"
    template = "admin/chosen_filter.html"

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, str],
        model: type[models.Model],
        model_admin: admin.ModelAdmin,
    ) -> None:
        self.row = chosen_row(request)
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, Text]]:
        return [(self.value() or "", str(self.row))] if self.row is not None else []

    def has_output(self) -> bool:
        return self.row is not None

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        return queryset.none() if self.row is None else queryset.filter(history_condition(self.row))


class OlderFilter(admin.SimpleListFilter):
    """Changes before one of them: where a search for older ones goes on."""

    title = _("older than")
    parameter_name = "older"
    template = "admin/chosen_filter.html"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Text]]:
        key = key_of(self.value() or "")
        rows = model_admin.get_queryset(request).filter(pk=key).values_list("at", flat=True)
        self.at = None if key is None else rows.first()
        return [] if self.at is None else [(self.value() or "", shown_moment(self.at))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if not self.value():
            return queryset
        if self.at is None:
            return queryset.none()
        return queryset.filter(Q(at__lt=self.at) | Q(at=self.at, pk__lt=key_of(self.value() or "")))


def visible_objects(request: HttpRequest) -> list[str]:
    """Return the objects of the journal whose changes the user may see."""
    return [
        name
        for one in recorded()
        if may(request, "view", one.model)
        for name in (one.members if isinstance(one, RecordedAssignments) else (one.object,))
    ]


def chosen_row(request: HttpRequest) -> models.Model | None:
    """Return the row that the parameter `of` names, as `segments.segment-7`, if the user may see it."""
    label, _dash, text = request.GET.get("of", "").partition("-")
    key = key_of(text)
    models = {one.model._meta.label_lower: one.model for one in recorded()}
    model = models.get(label)
    if model is None or key is None or not admin.site.is_registered(model) or not may(request, "view", model):
        return None
    return admin.site.get_model_admin(model).get_queryset(request).filter(pk=key).first()


def activity_page(row: models.Model) -> str:
    """Return the address of the changes of a row."""
    return f"{reverse('admin:journal_change_changelist')}?of={row._meta.label_lower}-{row.pk}"


def address_of(row: models.Model | None) -> str:
    """Return the address of a row's page; empty where there is none."""
    if row is None or not admin.site.is_registered(type(row)):
        return ""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


@admin.register(Change)
class ChangeAdmin(OccasionUndo, ReadOnlyAdmin):
    explanation = _(
        "What everybody changed, the newest first: staff, programs, imports, commands and deletions."
    )
    empty_state = _("Nothing has been changed yet.")
    list_display = ("when", "who", "subject", "did", "occasion", "undo_link")
    list_display_links = None
    list_filter = (SubjectFilter, OlderFilter, PersonFilter, SourceFilter, ObjectFilter, TimeFilter)
    search_fields = ("actor_id", "actor_name", "external_id", "source_id")  # see get_search_results
    search_help_text = _(
        "A person, program or command, the id of what changed, or the id of an import or request: in full."
    )
    ordering = ("-id",)
    sortable_by = ()
    fields = ("when", "who", "subject", "did", "occasion")
    readonly_fields = fields

    def get_urls(self) -> list[URLPattern]:
        page = path("<int:pk>/undo/", self.admin_site.admin_view(self.undo_view), name="journal_change_undo")
        return [page, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Keep the changes of what the user may see."""
        return shown_changes(super().get_queryset(request).filter(object__in=visible_objects(request)))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Find the newest changes that a text finds; say where to go on when there may be older ones."""
        term = search_term.strip()
        if not term:
            return queryset, False
        keys, since = newest_found(queryset, term, staff_tenant_id(request))
        if since is not None:
            at, key = since
            query = request.GET.copy()
            query["older"] = str(key)
            query.pop("p", None)
            text = gettext("Only the newest changes were searched, the oldest of them is of {time}.")
            message = format_html(
                '{} <a href="?{}">{}</a>',
                format_html(text, time=shown_moment(at)),
                query.urlencode(),
                gettext("Search older changes"),
            )
            self.message_user(request, message, messages.INFO)
        return queryset.filter(pk__in=keys), False

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        add_sentences(rows)
        add_undoable(rows)
        for change in rows:
            change.may_undo = may_undo(request, change)
        found.result_list = rows
        found.title = gettext("Activity")
        return found

    @admin.display(description=_("Who"))
    def who(self, change: Change) -> str:
        return person_of(change)

    @admin.display(description=_("What they did"))
    def did(self, change: Change) -> str:
        if not hasattr(change, "sentence"):
            add_sentences([change])
        return change.sentence

    @admin.display(description=_("Of"))
    def subject(self, change: Change) -> str:
        if not hasattr(change, "subject_name"):
            add_sentences([change])
        url = address_of(change.subject_row)
        return format_html('<a href="{}">{}</a>', url, change.subject_name) if url else change.subject_name

    @admin.display(description=_("When"))
    def when(self, change: Change) -> str:
        return shown_moment(change.at)

    @admin.display(description=_("Occasion"))
    def occasion(self, change: Change) -> str:
        return occasion_of(change)

    @admin.display(description="")
    def undo_link(self, change: Change) -> str:
        """A button that takes the change back at once: an undo is itself a change that can be undone."""
        if not change.may_undo:
            return ""
        return format_html(
            '<button type="submit" class="link-button" form="changelist-form" formmethod="post"'
            ' formaction="{}" name="next" value="{}">{}</button>',
            reverse("admin:journal_change_undo", args=[change.pk]),
            reverse("admin:journal_change_changelist"),
            undo_label(change),
        )

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
            return HttpResponseRedirect(page_after(request, reverse("admin:journal_change_changelist")))
        add_sentences([change])
        context = {
            **self.admin_site.each_context(request),
            "title": _("Take this change back?"),
            "opts": self.opts,
            "change": change,
            "who": person_of(change),
            "subject": change.subject_name,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/journal/undo.html", context)

    def _undo(self, request: HttpRequest, change: Change) -> None:
        at = timezone.now()
        try:
            with contention_as_refusal(), transaction.atomic():
                plan = plan_undo(change.pk, tenant_id=change.tenant_id, at=at)
                if plan.is_large:
                    job = enqueue_undo(plan, at=at)
                    message = gettext(
                        "{number} rows are taken back in the background: see job {job}."
                    ).format(number=exact_count(plan.rows), job=job.pk)
                    self.message_user(request, message, messages.SUCCESS)
                    return
                undone = undo_change(plan, at=at)
        except DomainError as refused:
            self.message_user(request, refusal_text(refused), messages.ERROR)
            return
        if undone.total:
            text = ngettext("{number} row was taken back.", "{number} rows were taken back.", undone.total)
            self.message_user(request, text.format(number=exact_count(undone.total)), messages.SUCCESS)
        if undone.total_left:
            reasons = "; ".join(sorted({fault_text(entry["reason"]) for entry in undone.left_alone}))
            text = ngettext(
                "{number} row was left alone: {reasons}.",
                "{number} rows were left alone: {reasons}.",
                undone.total_left,
            )
            text = text.format(number=exact_count(undone.total_left), reasons=reasons)
            self.message_user(request, text, messages.WARNING)


def undo_label(change: Change) -> str:
    """Return what the button that takes a change back says."""
    is_document = not isinstance(recorded_as(change.object), RecordedAssignments)
    return gettext("Restore") if is_document and change.kind == "deleted" else gettext("Undo")


def recent_changes(request: HttpRequest, shop: Tenant) -> Content:
    """What everybody changed last, each with its undo."""
    if not request.user.has_perm("journal.view_change"):
        return None
    model_admin = admin.site.get_model_admin(Change)
    assert isinstance(model_admin, ChangeAdmin)
    changes = list(
        model_admin.get_queryset(request)
        .filter(tenant=shop)
        .exclude(object__in=BY_SHOPPERS)
        .order_by("-id")[:MOST_RECENT]
    )
    add_sentences(changes)
    add_undoable(changes)
    for change in changes:
        change.url = address_of(change.subject_row)
        change.undo_label = undo_label(change)
        change.may_undo = may_undo(request, change)
    return {"changes": changes}


register_panel(
    Panel("changes", _("Recent changes"), Place.SIDE, 10, "admin/start/changes.html", recent_changes)
)
