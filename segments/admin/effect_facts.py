"""What a change of segments does to shoppers, in numbers and words that lead to what they count."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext

from core.admin.confirmation import (
    Fact,
    Part,
)
from core.admin.counts import exact_count
from core.timestamps import local_moment, parse_time
from segments.admin.filters import SegmentsFilter
from segments.console.effect_lists import Shown
from segments.counting import Count
from segments.effects import (
    Affected,
    Dependent,
    DependentEffect,
    Difference,
    Effects,
    SegmentChange,
    readable_dependents,
)
from segments.effects.addresses import EFFECT, Counted, of_difference
from segments.models import Segment
from segments.tallies import NOTHING, held_by

SEGMENT = "segment__id__exact"


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
