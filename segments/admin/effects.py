"""The pages that say what a change of segments does to shoppers, before it is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin.confirmation import (
    ConfirmationNeeded,
    Fact,
    Part,
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
from core.timestamps import local_moment, parse_time
from segments.admin.filters import SegmentsFilter
from segments.bodies import Status
from segments.console.effect_lists import Shown
from segments.counting import Count
from segments.effects import (
    MOST_SEGMENTS,
    Affected,
    Dependent,
    DependentEffect,
    Difference,
    Effects,
    SegmentChange,
    SegmentChangeBody,
    change_of,
    effects_of_change,
    readable_dependents,
)
from segments.effects.addresses import EFFECT, Counted, of_difference
from segments.models import Segment
from segments.operations.removals import remove_segments
from segments.operations.statuses import set_segment_status
from segments.tallies import NOTHING, held_by

SEGMENT = "segment__id__exact"
DECISIVE = {"valid_from", "valid_to", "site", "status"}
"""The fields of a segment that decide when and where it counts."""


def may(request: HttpRequest, dependent: Dependent, action: str) -> bool:
    user = request.user
    return bool(user.has_perm(dependent.permission.format(action=action)))


def visible_dependents(request: HttpRequest) -> list[Dependent]:
    return [each for each in readable_dependents(None) if may(request, each, "view")]


def shown(count: Count) -> str:
    """Return a count as people read it."""
    return (
        exact_count(count.value)
        if count.exact
        else gettext("more than {number}").format(number=exact_count(count.value))
    )


def segments_parameter(keys: Sequence[int]) -> str:
    """Return the parameter that limits lists of members and items to those of these segments."""
    return (
        f"{SEGMENT}={keys[0]}"
        if len(keys) == 1
        else f"{SegmentsFilter.parameter_name}={','.join(map(str, keys))}"
    )


def members_page(keys: Sequence[int]) -> str:
    return f"{reverse('admin:segments_customerassignment_changelist')}?{segments_parameter(keys)}"


def items_page(keys: Sequence[int], kind: str = "") -> str:
    page = f"{reverse('admin:segments_itemassignment_changelist')}?{segments_parameter(keys)}"
    return f"{page}&type={kind}" if kind else page


def effect_page(page: str, value: str) -> str:
    """Return the list of what is counted of an effect, as `segments.effects.addresses` names it."""
    return f"{reverse(page)}?{urlencode({EFFECT: value})}"


def customers_page(which: Affected, difference: Difference) -> str:
    return effect_page("admin:accounts_customer_changelist", of_difference(which, difference))


def part(text: str, count: Count, url: str) -> Part:
    """Return a number of a fact, with its list unless it is zero."""
    return Part(text, url if count.value or not count.exact else "")


def facts_of(
    effects: Effects, difference: Difference, dependents: Sequence[Dependent], segments: Sequence[Segment]
) -> list[Fact]:
    """Return what the effects of the difference say, each number with a link to the list that it counts."""
    members, items = effects.members, effects.items
    keys = [segment.pk for segment in segments]
    facts = []
    if members.losing.value or not members.losing.exact or effects.change == SegmentChange.DELETE:
        keeping = ngettext(
            "{number} keeps another segment",
            "{number} keep another segment",
            members.keeping_another.value,
        ).format(number=shown(members.keeping_another))
        none = ngettext(
            "{number} sees nothing special any more",
            "{number} see nothing special any more",
            members.losing_all.value,
        ).format(number=shown(members.losing_all))
        parts = [
            part(keeping, members.keeping_another, customers_page(Affected.KEEPING_ANOTHER, difference)),
            part(none, members.losing_all, customers_page(Affected.LOSING_ALL, difference)),
        ]
        facts.append(
            Fact(
                shown(members.losing),
                ngettext("customer loses it", "customers lose it", members.losing.value),
                customers_page(Affected.LOSING, difference) if difference.losing else "",
                parts if members.losing.value else (),
                is_loss=bool(members.losing.value),
            )
        )
    if members.gaining.value or not members.gaining.exact:
        facts.append(
            Fact(
                shown(members.gaining),
                ngettext("customer gets it", "customers get it", members.gaining.value),
                customers_page(Affected.GAINING, difference),
            )
        )
    if effects.change == SegmentChange.DELETE:
        total = shown(members.total)
        text = ngettext("membership goes with it", "memberships go with it", members.total.value)
        facts.append(Fact(total, text, members_page(keys)))
    number = items.products.value + items.categories.value
    if effects.change == SegmentChange.DELETE or items.disappearing_categories.value:
        count = Count(value=number, exact=items.products.exact and items.categories.exact)
        disappearing = ngettext(
            "{number} category disappears",
            "{number} categories disappear",
            items.disappearing_categories.value,
        ).format(number=shown(items.disappearing_categories))
        customers = ngettext(
            "for {number} customer", "for {number} customers", items.affected_customers.value
        ).format(number=shown(items.affected_customers))
        page = effect_page("admin:catalog_category_changelist", of_difference(Shown.DISAPPEARING, difference))
        parts = [
            part(disappearing, items.disappearing_categories, page),
            part(
                customers,
                items.affected_customers,
                customers_page(Affected.LOSING_CATEGORIES, difference),
            ),
        ]
        facts.append(
            Fact(
                shown(count),
                ngettext("product or category in it", "products and categories in it", number),
                items_page(keys),
                parts if items.disappearing_categories.value else (),
                is_loss=bool(items.disappearing_categories.value),
            )
        )
    for each in dependents:
        effect = effects.dependents.get(each.type)
        if effect is not None:
            value = partial(of_difference, difference=difference)
            facts += dependent_facts(each, effect, value, segments[0].tenant_id)
    return facts


def noun_of(dependent: Dependent, number: int) -> str:
    """Return what so many things of the type are called."""
    return gettext(dependent.singular if number == 1 else dependent.plural)


def dependent_facts(
    dependent: Dependent, effect: DependentEffect, value: Callable[[str], str], tenant_id: int
) -> list[Fact]:
    """Return what happens to things of a type; `value` names in addresses what is counted."""
    facts = []
    if number := effect.stopping.value:
        codes = ", ".join(dependent.called(tenant_id, effect.ids[:5])) + (" …" if number > 5 else "")
        used = ngettext(
            "used {number} time in the last 30 days",
            "used {number} times in the last 30 days",
            effect.used_lately.value,
        ).format(number=shown(effect.used_lately))
        text = ngettext("{names} stops working", "{names} stop working", number)
        text = text.format(names=noun_of(dependent, number))
        parts = [
            Part(codes, is_names=True),
            part(used, effect.used_lately, effect_page(dependent.uses_page, value(Counted.USED))),
        ]
        own = effect_page(dependent.page, value(Counted.STOPPING))
        facts.append(Fact(shown(effect.stopping), text, own, parts, is_loss=True))
    if number := effect.starting.value:
        text = ngettext("{names} begins to work", "{names} begin to work", number)
        text = text.format(names=noun_of(dependent, number))
        own = effect_page(dependent.page, value(Counted.STARTING))
        facts.append(Fact(shown(effect.starting), text, own))
    return facts


def opened_facts(request: HttpRequest, segment: Segment, at: datetime) -> list[Fact]:
    """Return what the segment opens to its members: its items, and what else is for them."""
    held = held_by(segment.tenant_id, [segment.pk]).get(segment.pk, NOTHING)
    products = ngettext("{number} product", "{number} products", held.products)
    categories = ngettext("{number} category", "{number} categories", held.categories)
    parts = [
        part(
            products.format(number=exact_count(held.products)),
            Count(value=held.products),
            items_page([segment.pk], "PRODUCT"),
        ),
        part(
            categories.format(number=exact_count(held.categories)),
            Count(value=held.categories),
            items_page([segment.pk], "CATEGORY"),
        ),
    ]
    facts = [
        Fact(
            exact_count(held.items),
            ngettext("item opened to them", "items opened to them", held.items),
            items_page([segment.pk]),
            parts,
        )
    ]
    for each in visible_dependents(request):
        number, ids = each.opened_by(segment.tenant_id, segment.pk, at)
        names = each.called(segment.tenant_id, ids[:3])
        more = " …" if number > len(names) else ""
        text = gettext("{names} opened to them").format(names=noun_of(each, number))
        opening = Difference(segment.tenant_id, at, losing=[], gaining=[segment.pk])
        page = effect_page(each.page, of_difference(Counted.OPENED, opening))
        parts = [Part(", ".join(names) + more, is_names=True)] if names else []
        facts.append(Fact(exact_count(number), text, page, parts))
    return facts


def viewers_fact(segment: Segment) -> Fact:
    """Return how many members see what is added to the segment."""
    held = held_by(segment.tenant_id, [segment.pk]).get(segment.pk, NOTHING)
    text = ngettext("member sees them", "members see them", held.members)
    return Fact(exact_count(held.members), text, members_page([segment.pk]))


def takes_away(effects: Effects) -> bool:
    """Say whether a change takes something from anybody, so that it is not made without a question."""
    lost = [effects.members.losing, *(each.stopping for each in effects.dependents.values())]
    return any(count.value or not count.exact for count in lost)


def as_of_text(effects: Effects, segments: Sequence[Segment]) -> str:
    """Return as of when the numbers are, and which version of a single segment they describe."""
    zone = segments[0].site.time_zone if segments else None
    moment = local_moment(parse_time(effects.as_of, field="asOf"), zone)
    is_now = moment <= timezone.now()
    when = (
        time_format(moment, "TIME_FORMAT")
        if is_now
        else f"{date_format(moment, 'DATE_FORMAT')}, {time_format(moment, 'TIME_FORMAT')}"
    )
    text = gettext("As of {time}") if is_now else gettext("The first difference is on {time}")
    text = text.format(time=when)
    if len(segments) == 1:
        version = gettext("version {number}").format(number=segments[0].version)
        text += f" ({version})"
    if not effects.makes_difference:
        nothing = gettext("Shoppers notice nothing of it.")
        text += f". {nothing}"
    return text


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
