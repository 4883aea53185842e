"""The pages that say what a change of segments does to shoppers, before it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin.confirmation import (
    ConfirmationNeeded,
    confirmation_page,
    is_confirmed,
    read_versions,
    repeated_values,
)
from core.admin.counts import exact_count
from core.admin.deletion_pages import DeletionPages
from core.admin.undo import message_of_number
from core.bodies import Validity
from core.errors import VersionConflict
from core.journal.undo.rules import RESTORED_WITHIN
from core.names import name_for_reader
from core.text import normalized
from segments.admin.effect_facts import as_of_text, facts_of, may, noun_of, takes_away, visible_dependents
from segments.bodies import Status
from segments.effects import (
    MOST_SEGMENTS,
    Dependent,
    Difference,
    Effects,
    SegmentChangeBody,
    change_of,
    effects_of_change,
)
from segments.models import Segment
from segments.operations.removals import remove_segments
from segments.operations.statuses import set_segment_status

DECISIVE = {"valid_from", "valid_to", "site", "status"}
"""The fields of a segment that decide when and where it counts."""


@dataclass(frozen=True, slots=True)
class AskedDependent:
    """What depends on the segments and could be deleted with them."""

    type: str
    question: str
    deletes: bool


class EffectPages(DeletionPages[Segment]):
    """Adds the questions to the segment's admin."""

    most_deleted = MOST_SEGMENTS
    deleted_with = ("site", "tenant")
    deletion_template = "admin/segments/delete.html"
    too_many = _("Select at most {most} segments at a time.")
    of_several_tenants = _("Select segments of one tenant only.")
    changed_meanwhile = _(
        "A segment was changed in the meantime, so nothing was deleted. Look at the present numbers."
    )

    # --- forms ---

    def question_before_saving(
        self, request: HttpRequest, obj: Segment, form: ModelForm
    ) -> ConfirmationNeeded | None:
        """Return the question where a new window, site or status takes something from shoppers."""
        if is_confirmed(request) or not DECISIVE & set(form.changed_data):
            return None
        effects, difference = self.effects(
            request,
            [obj],
            SegmentChangeBody(
                change="UPDATE",
                validity=Validity(starts_at=obj.valid_from, ends_at=obj.valid_to),
                site_code=obj.site.code,
                status=cast(Status, obj.status),
            ),
        )
        if not takes_away(effects):
            return None
        return ConfirmationNeeded(
            gettext("Save “{name}”?").format(name=obj),
            facts_of(effects, difference, visible_dependents(request), [obj]),
            as_of=as_of_text(effects, [obj]),
        )

    def effects(
        self, request: HttpRequest, segments: Sequence[Segment], body: SegmentChangeBody
    ) -> tuple[Effects, Difference]:
        """Return what the change does, as far as the user may see it, and what differs."""
        thought_of = change_of(
            tenant_id=segments[0].tenant_id,
            segment_ids=[segment.external_id for segment in segments],
            body=body,
            at=timezone.now(),
        )
        scopes = {each.scope for each in visible_dependents(request)}
        return effects_of_change(thought_of, scopes), thought_of.difference

    # --- actions ---

    @admin.action(description=_("Activate selected segments"), permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self._set_status(request, queryset, "ACTIVE")

    @admin.action(description=_("Deactivate selected segments"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self._set_status(request, queryset, "INACTIVE")

    def _set_status(self, request: HttpRequest, queryset: QuerySet, status: str) -> HttpResponse | None:
        """Ask before customers lose something, then give the segments the status."""
        changing = self.chosen(request, queryset.exclude(status=status))
        if not changing and not queryset.filter(status=status).exists():
            return None
        is_active = status == "ACTIVE"
        number = 0
        if changing:
            if not is_confirmed(request):
                change = SegmentChangeBody(change="ACTIVATE" if is_active else "DEACTIVATE")
                effects, difference = self.effects(request, changing, change)
                if takes_away(effects):
                    return self._ask(request, changing, effects, difference)
            try:
                number = set_segment_status(
                    segments=Segment.objects.filter(pk__in=[segment.pk for segment in changing]),
                    status=status,
                    at=timezone.now(),
                    versions=read_versions(request),
                )
            except VersionConflict:
                change = SegmentChangeBody(change="ACTIVATE" if is_active else "DEACTIVATE")
                return self._ask_again(request, changing, *self.effects(request, changing, change))
        text = (
            ngettext("Activated {number} segment.", "Activated {number} segments.", number)
            if is_active
            else ngettext("Deactivated {number} segment.", "Deactivated {number} segments.", number)
        )
        message_of_number(request, text, number)
        return None

    def _ask_again(
        self, request: HttpRequest, segments: Sequence[Segment], effects: Effects, difference: Difference
    ) -> TemplateResponse:
        text = gettext(
            "A segment was changed in the meantime, so nothing was done. Look at the present numbers."
        )
        self.message_user(request, text, messages.ERROR)
        return self._ask(request, segments, effects, difference)

    def _ask(
        self, request: HttpRequest, segments: Sequence[Segment], effects: Effects, difference: Difference
    ) -> TemplateResponse:
        is_single = len(segments) == 1
        named = str(segments[0]) if is_single else gettext("{number} segments").format(number=len(segments))
        needed = ConfirmationNeeded(
            gettext("Deactivate {named}?").format(named=named),
            facts_of(effects, difference, visible_dependents(request), segments),
            as_of=as_of_text(effects, segments),
            button=gettext("Deactivate"),
        )
        return confirmation_page(
            self,
            request,
            needed,
            template="admin/confirm_rows.html",
            repeated=[pair for pair in repeated_values(request) if pair[0] != "version"],
            rows=segments,
            object=segments[0] if is_single else None,
            versions=effects.versions,
            back=request.get_full_path(),
        )

    # --- deletion ---

    def typing_error(self, request: HttpRequest, rows: Sequence[Segment]) -> str:
        return name_error(rows, request.POST.get("typed_name", ""))

    def deletion_question(
        self, request: HttpRequest, rows: Sequence[Segment]
    ) -> tuple[ConfirmationNeeded, dict[str, object]]:
        effects, difference = self.effects(request, rows, SegmentChangeBody(change="DELETE"))
        keys = [segment.pk for segment in rows]
        is_single = len(rows) == 1
        segment = rows[0]
        title = (
            gettext("Delete “{segment}”?").format(segment=name_of(segment))
            if is_single
            else gettext("Delete {number} segments?").format(number=exact_count(len(rows)))
        )
        typing = (
            gettext("Type the name to delete it: {name}").format(name=name_of(segment))
            if is_single
            else gettext("Type the number of segments to delete them: {number}").format(number=len(rows))
        )
        needed = ConfirmationNeeded(
            title,
            facts_of(effects, difference, visible_dependents(request), rows),
            as_of=as_of_text(effects, rows),
            button=gettext("Delete"),
        )
        return needed, {
            "versions": effects.versions,
            "dependents": self._asked(request, segment.tenant_id, keys),
            "typing": typing,
            "typed": request.POST.get("typed_name", ""),
            "instead": is_single and self.has_change_permission(request, segment),
            "may_deactivate": segment.status == "ACTIVE",
            "days": RESTORED_WITHIN.days,
        }

    def _asked(self, request: HttpRequest, tenant_id: int, keys: Sequence[int]) -> list[AskedDependent]:
        found = []
        for each in visible_dependents(request):
            if may(request, each, "delete") and (number := each.only_of(tenant_id, keys)):
                question = ngettext(
                    "{number} {names} names no other segment",
                    "{number} {names} name no other segment",
                    number,
                ).format(number=exact_count(number), names=noun_of(each, number))
                found.append(AskedDependent(each.type, question, self._deletes(request, each)))
        return found

    def _deletes(self, request: HttpRequest, dependent: Dependent) -> bool:
        return request.POST.get(f"dependent-{dependent.type}") == "delete"

    def delete_confirmed(
        self, request: HttpRequest, rows: Sequence[Segment], versions: Mapping[str, int]
    ) -> str:
        """Delete the segments, and where it was chosen what depends on nothing else."""
        at = timezone.now()
        tenant_id = rows[0].tenant_id
        along = [
            each
            for each in visible_dependents(request)
            if self._deletes(request, each) and may(request, each, "delete")
        ]
        deleted: dict[str, int] = {}

        def delete_along(keys: list[int]) -> None:
            for each in along:
                count = each.delete_only_of(tenant_id, keys, at)
                deleted[noun_of(each, count)] = count

        chosen = Segment.objects.filter(pk__in=[segment.pk for segment in rows])
        number = remove_segments(segments=chosen, versions=versions, before=delete_along)
        text = (
            gettext("Deleted {named}.").format(named=name_of(rows[0]))
            if len(rows) == 1
            else gettext("Deleted {number} segments.").format(number=exact_count(number))
        )
        for names, count in deleted.items():
            text += " " + gettext("With it {number} {names}.").format(number=exact_count(count), names=names)
        days = RESTORED_WITHIN.days
        kept = ngettext("Kept {days} day under Activity.", "Kept {days} days under Activity.", days)
        return f"{text} {kept.format(days=days)}"


def name_of(segment: Segment) -> str:
    """Return the segment's name as the reader sees it, else its id."""
    return name_for_reader(segment.name, segment.tenant.default_language) or segment.external_id


def name_error(segments: Sequence[Segment], typed: str) -> str:
    """Say what is wrong with what was typed to confirm a deletion; empty when it is right."""
    entered = normalized(typed).strip().casefold()
    if len(segments) > 1:
        expected = {str(len(segments))}
    else:
        [segment] = segments
        expected = {
            normalized(str(name)).strip().casefold() for name in (*segment.name.values(), segment.external_id)
        }
    if entered in expected:
        return ""
    return (
        gettext("This is not the number of selected segments. Nothing was deleted.")
        if len(segments) > 1
        else gettext("This is not the segment's name. Nothing was deleted.")
    )
