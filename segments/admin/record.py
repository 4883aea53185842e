"""The page of a segment: a record with its state in words and numbers as links, and below it the form."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext, npgettext
from django.utils.translation import gettext_lazy as _

from core.admin.charts import DayValue, LineChart, line_chart
from core.admin.counts import exact_count
from core.admin.faults import refusal_text
from core.admin.moments import duration_text, in_words, window_text
from core.admin.undo import message_with_undo
from core.bodies import Validity
from core.errors import DomainError
from core.journal.admin import activity_page
from core.timestamps import parse_time
from core.unavailability import contention_as_refusal
from segments.admin.effect_facts import effect_page, noun_of, shown, visible_dependents
from segments.admin.effects import DECISIVE, EffectPages
from segments.admin.shown_rules import rule_address
from segments.admin.start import scopes_of, shown_findings
from segments.bodies import Status
from segments.console.effect_lists import Shown
from segments.console.record_parts import (
    RecordNumber,
    ShownNumber,
    Tab,
    register_number,
    register_tab,
    registered_actions,
    registered_numbers,
    registered_tabs,
)
from segments.effects import Difference, Effects, SegmentChangeBody
from segments.effects.addresses import of_difference
from segments.findings import look_for
from segments.forms.bulk_add import BulkAddForm, ItemsForm, MembersForm
from segments.models import Segment
from segments.overview import closed_now, members_by_day, products_in_categories
from segments.tallies import NOTHING, customers_of, held_by

DAYS_SHOWN = 30


def list_page(model: str, segment: Segment, **query: object) -> str:
    """Return the address of the list of the segment's members or items."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return f"{reverse(f'admin:segments_{model}_changelist')}?segment__id__exact={segment.pk}{more}"


def record_page(segment: Segment) -> str:
    return reverse("admin:segments_segment_change", args=[segment.pk])


def state_of(segment: Segment, at: datetime) -> tuple[str, str]:
    """Return what the segment does at `at`, and the style of that."""
    if segment.status != "ACTIVE":
        return gettext("Inactive"), "off"
    if segment.valid_from and at < segment.valid_from:
        return gettext("Starts later"), "waiting"
    if segment.valid_to and at > segment.valid_to:
        return gettext("Over"), "over"
    return gettext("Live"), "on"


def state_in_words(segment: Segment, at: datetime) -> str:
    """Say for how long the segment will do what it does."""
    match state_of(segment, at)[1]:
        case "off":
            return gettext("Inactive: it counts for nobody")
        case "waiting" if segment.valid_from:
            return gettext("Starts in {time}").format(time=duration_text(at, segment.valid_from))
        case "over" if segment.valid_to:
            return gettext("Over for {time}").format(time=duration_text(segment.valid_to, at))
    if segment.valid_to:
        return gettext("Live, ends in {time}").format(time=duration_text(at, segment.valid_to))
    return gettext("Live, without an end")


# Numbers


def held_numbers(segment: Segment) -> list[ShownNumber]:
    """Members and items, from kept counts; of the members also those whose time is not now."""
    now = timezone.now()
    held = held_by(segment.tenant_id, [segment.pk]).get(segment.pk, NOTHING)
    customers = customers_of(segment.tenant_id)
    share = ""
    if customers and held.members and not held.company_members:
        share = gettext("{share} of all customers").format(share=percentage(held.members, customers))
    found = [
        ShownNumber(
            exact_count(held.members),
            ngettext("member", "members", held.members),
            list_page("customerassignment", segment),
            share,
        )
    ]
    if held.company_members:
        text = ngettext("for a company", "for companies", held.company_members)
        page = list_page("customerassignment", segment, company="yes")
        found.append(ShownNumber(exact_count(held.company_members), text, page))
    # of a segment that does not count itself, nobody does
    if (
        state_of(segment, now)[1] == "on"
        and (closed := closed_now(segment.tenant_id, segment.pk, at=now)).value
    ):
        text = ngettext("does not count now", "do not count now", closed.value)
        page = list_page("customerassignment", segment, counts="no")
        found.append(ShownNumber(shown(closed), text, page))
    items = list_page("itemassignment", segment, type="PRODUCT")
    found.append(
        ShownNumber(exact_count(held.products), ngettext("product", "products", held.products), items)
    )
    inside = products_in_categories(segment.tenant_id, segment.pk, at=now) if held.categories else 0
    inside_of = Difference(segment.tenant_id, now, losing=[], gaining=[segment.pk])
    details = ""
    if inside:
        details = ngettext("with {number} product", "with {number} products", inside).format(
            number=exact_count(inside)
        )
    found.append(
        ShownNumber(
            exact_count(held.categories),
            # Translators: categories of a segment, after their number
            npgettext("of a segment", "category", "categories", held.categories),
            list_page("itemassignment", segment, type="CATEGORY"),
            details,
            effect_page("admin:catalog_product_changelist", of_difference(Shown.INSIDE, inside_of)),
        )
    )
    return found


def percentage(part: int, whole: int) -> str:
    """Return the share in percent with one decimal; never 100 where anybody is missing."""
    tenths = min(part * 1000 // whole, 1000)
    return f"{number_format(tenths / 10, decimal_pos=1 if tenths % 10 else 0)} %"


register_number(RecordNumber("held", 10, "segments.view_segment", held_numbers))
register_tab(Tab("overview", _("Overview"), 10, record_page))
register_tab(Tab("rule", _("Who belongs"), 20, rule_address))
register_tab(
    Tab(
        "members",
        _("Members"),
        30,
        lambda segment: list_page("customerassignment", segment),
        "segments.view_customerassignment",
    )
)
register_tab(
    Tab(
        "items",
        _("Products & categories"),
        40,
        lambda segment: list_page("itemassignment", segment),
        "segments.view_itemassignment",
    )
)
register_tab(Tab("activity", _("Activity"), 90, activity_page, "journal.view_change"))


def record_context(request: HttpRequest, segment: Segment, *, current: str) -> dict[str, object]:
    """Return what the head of every page about a segment shows."""
    user = request.user
    at = timezone.now()
    return {
        "segment": segment,
        "state": state_of(segment, at),
        "state_words": state_in_words(segment, at),
        "window": window_text(segment, segment.site.time_zone),
        "zone": segment.site.time_zone,
        "tabs": [
            {"label": tab.label, "url": tab.address(segment), "is_current": tab.name == current}
            for tab in registered_tabs()
            if user.has_perm(tab.right)
        ],
    }


class SegmentRecord(EffectPages, admin.ModelAdmin):
    """Makes the segment's page a record."""

    change_form_template = "admin/segments/segment/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        views = {
            "problems": self.problems,
            "activate": self.activate_one,
            "deactivate": self.deactivate_one,
        }
        own = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), name=f"segments_segment_{name}")
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def related_links(self, request: HttpRequest, obj: Segment) -> list[dict[str, object]]:
        return []  # the tabs and the numbers lead everywhere

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, object],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None and not context.get("is_popup"):
            user = request.user
            context |= record_context(request, obj, current="overview")
            context["title"] = str(obj)
            context["subtitle"] = None
            context["sees_members"] = user.has_perm("segments.view_customerassignment")
            context["numbers"] = [
                number
                for entry in registered_numbers()
                if user.has_perm(entry.right)
                for number in entry.numbers(obj)
            ]
            context["chart"] = members_over_time(obj)
            context["actions_of_record"] = self.record_actions(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def record_actions(self, request: HttpRequest, segment: Segment) -> list[Mapping[str, object]]:
        """Return the buttons of the head: what posts, and what leads to a page."""
        user = request.user
        found: list[Mapping[str, object]] = []
        if user.has_perm("segments.change_segment"):
            name, label = (
                ("deactivate", _("Deactivate")) if segment.status == "ACTIVE" else ("activate", _("Activate"))
            )
            page = reverse(f"admin:segments_segment_{name}", args=[segment.pk])
            found.append({"text": label, "url": page, "posts": True, "is_main": name == "activate"})
        for right, name, label in (
            ("segments.add_customerassignment", "members", _("Add members")),
            ("segments.add_itemassignment", "items", _("Add products or categories")),
        ):
            if user.has_perm(right):
                page = reverse(f"admin:segments_segment_add_{name}", args=[segment.pk])
                form = quick_form(segment, name)
                found.append({"text": label, "url": page, "name": name, "form": form})
        found += [
            {"text": action.label, "url": action.address(segment)}
            for action in registered_actions()
            if user.has_perm(action.right)
        ]
        if user.has_perm("accounts.view_customer"):
            page = f"{reverse('admin:view_as_customer')}?segment={segment.pk}"
            found.append({"text": _("View as customer"), "url": page})
        if user.has_perm("segments.delete_segment"):
            page = reverse("admin:segments_segment_delete", args=[segment.pk])
            found.append({"text": _("Delete"), "url": page})
        return found

    # --- state ---

    def activate_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let the segment count, or ask first when that takes something away."""
        return self._one_status(request, pk, "ACTIVE")

    def deactivate_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let the segment count no longer, after a question when customers lose something."""
        return self._one_status(request, pk, "INACTIVE")

    def _one_status(self, request: HttpRequest, pk: int, status: str) -> HttpResponse:
        segment = self._record(request, pk)
        if not self.has_change_permission(request, segment):
            raise PermissionDenied
        answer = None
        if request.method == "POST":
            try:
                with contention_as_refusal():
                    answer = self._set_status(request, Segment.objects.filter(pk=pk), status)
            except DomainError as refused:
                self.message_user(request, refusal_text(refused), messages.ERROR)
        return answer or HttpResponseRedirect(record_page(segment))

    def _record(self, request: HttpRequest, pk: int) -> Segment:
        rows = self.get_queryset(request)
        segment: Segment | None = (
            rows.select_related("site", "tenant").filter(pk=pk).first() if pk < 2**63 else None
        )
        if segment is None:
            raise Http404
        return segment

    # --- problems ---

    def problems(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show what needs attention about one segment; the page of the segment fetches it."""
        segment = self._record(request, pk)
        if not self.has_view_permission(request, segment):
            raise PermissionDenied
        found = look_for(
            tenant_id=segment.tenant_id,
            at=timezone.now(),
            scopes=scopes_of(request.user),
            about_segment=segment.external_id,
        )
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Problems of {segment}").format(segment=segment),
            "opts": self.opts,
            "object": segment,
            "findings": shown_findings(request, found, segment.tenant, back=record_page(segment)),
        }
        is_fragment = "X-Fragment" in request.headers
        template = "admin/segments/problems.html" if is_fragment else "admin/segments/problems_page.html"
        return TemplateResponse(request, template, context)

    # --- saving ---

    def note_effects(self, request: HttpRequest, obj: Segment, form: ModelForm) -> None:
        """Remember what a new window, site or status does, to say so once it is saved."""
        if DECISIVE & set(form.changed_data):
            body = SegmentChangeBody(
                change="UPDATE",
                validity=Validity(starts_at=obj.valid_from, ends_at=obj.valid_to),
                site_code=obj.site.code,
                status=cast(Status, obj.status),
            )
            request._effects_of_save, _ = self.effects(request, [obj], body)  # type: ignore[attr-defined]

    def say_saved(self, request: HttpRequest, obj: Model, text: str) -> None:
        """Say how many customers a saved change of a segment affects, with a button that takes it back."""
        assert isinstance(obj, Segment)
        effects: Effects | None = getattr(request, "_effects_of_save", None)
        text = saved_in_words(obj, effects, visible_dependents(request))
        message_with_undo(request, text, back=record_page(obj))

    def response_post_save_change(self, request: HttpRequest, obj: Segment) -> HttpResponseRedirect:
        return HttpResponseRedirect(record_page(obj))

    def response_post_save_add(self, request: HttpRequest, obj: Segment) -> HttpResponseRedirect:
        return HttpResponseRedirect(record_page(obj))


def quick_form(segment: Segment, name: str) -> BulkAddForm:
    """Return the form of a pasted or uploaded list for the segment's page; dates are on its own page."""
    kind = MembersForm if name == "members" else ItemsForm
    zone = segment.site.time_zone or timezone.get_current_timezone()
    form: BulkAddForm = kind(zone=zone, auto_id=f"{name}_%s")
    for field in ("valid_from", "valid_to"):
        del form.fields[field]
    return form


def saved_in_words(segment: Segment, effects: Effects | None, dependents: Any) -> str:
    """Say who is affected by what was saved, and from when on."""
    text = gettext("Saved “{segment}”.").format(segment=segment)
    if effects is None:
        return text
    if not effects.makes_difference:
        nothing = gettext("Shoppers notice nothing of it.")
        return f"{text} {nothing}"
    members = effects.members
    affected = [
        (
            members.losing.value + members.gaining.value,
            shown(members.losing if members.losing.value else members.gaining),
            ngettext("customer", "customers", members.losing.value + members.gaining.value),
        )
    ]
    for each in dependents:
        effect = effects.dependents.get(each.type)
        if effect is not None and (number := effect.stopping.value + effect.starting.value):
            affected.append((number, exact_count(number), noun_of(each, number)))
    named = [f"{number} {noun}" for value, number, noun in affected if value]
    if not named:
        return text
    moment = parse_time(effects.as_of, field="asOf")
    when = gettext("from now on") if moment <= timezone.now() else in_words(moment, segment.site.time_zone)
    whom = gettext(" and ").join(named)
    affects = gettext("Affected: {whom}, {when}.").format(whom=whom, when=when)
    return f"{text} {affects}"


def members_over_time(segment: Segment) -> LineChart | None:
    """Return the memberships at the end of each of the last 30 days.

    None where there were none, and when the journal takes too long.
    """
    now = timezone.now()
    zone = segment.site.time_zone
    today = localtime(now, zone).date()
    first = today - timedelta(days=DAYS_SHOWN - 1)
    changes = members_by_day(
        segment.tenant_id,
        segment.pk,
        first=now - timedelta(days=DAYS_SHOWN + 1),
        zone=str(zone or "UTC"),
    )
    if changes is None:
        return None
    by_day = dict(changes)
    members = held_by(segment.tenant_id, [segment.pk]).get(segment.pk, NOTHING).members
    values = []
    for place in range(DAYS_SHOWN):
        day = today - timedelta(days=place)
        values.append(DayValue(day, max(0, members)))
        members -= by_day.get(day, 0)
    assert values[-1].day == first
    return line_chart(values[::-1]) if any(value.value for value in values) else None
