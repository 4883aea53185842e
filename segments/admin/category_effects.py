"""What a change of categories does to shoppers, for the pages of the catalogue that ask first."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext

from catalog.models import Category
from core.admin.confirmation import Fact, Part
from core.admin.counts import exact_count
from core.sql.composition import sql
from segments.admin.effect_facts import (
    customers_page,
    dependent_facts,
    effect_page,
    part,
    shown,
    visible_dependents,
)
from segments.console.effect_lists import Shown
from segments.counting import Count, counted
from segments.effects import (
    Affected,
    CategoryDifference,
    CategoryEffects,
    Difference,
    category_effects,
    members_of,
    products_of,
)
from segments.effects.addresses import (
    MOST_CATEGORIES,
    MOST_KEYS,
    change_of_category,
    difference_of,
    of_categories,
)
from segments.models import Segment

MOST_SEGMENTS_NAMED = 5
MOST_SEGMENTS_LINKED = 100


def category_facts(
    request: HttpRequest, categories: Sequence[Category], change: str, parent: Category | None
) -> list[Fact]:
    """Return what the change of these categories of one tenant would do, of the first 20 of them."""
    dependents = visible_dependents(request)
    at = timezone.now()
    looked_at = outermost(categories)[:MOST_CATEGORIES]
    found = [
        category_effects(
            tenant_id=category.tenant_id,
            body=change_of_category(category, change, parent),
            at=at,
            scopes={each.scope for each in dependents},
        )
        for category in looked_at
    ]
    whole = partial(of_categories, categories=looked_at, change=change, parent=parent, at=at)
    together = partial(difference_of, looked_at, change, parent, at)
    facts = counts_of(found, looked_at, whole, together, at)
    for category, one in zip(looked_at, found, strict=True):
        value = partial(of_categories, categories=[category], change=change, parent=parent, at=at)
        for each in dependents:
            facts += dependent_facts(each, one.dependents[each.type], value, category.tenant_id)
    if len(categories) > MOST_CATEGORIES:
        text = gettext("categories are selected; the numbers are those of the first {most}")
        facts.insert(
            0, Fact(exact_count(len(categories)), text.format(most=MOST_CATEGORIES), "#deleted-objects")
        )
    return facts


def outermost(categories: Sequence[Category]) -> list[Category]:
    """Leave out those that lie below another one, whose numbers are part of that one's."""
    kept: list[Category] = []
    for category in sorted(categories, key=lambda one: (one.tree_id, one.lft)):
        if not kept or kept[-1].tree_id != category.tree_id or kept[-1].rght < category.lft:
            kept.append(category)
    return kept


def total(counts: Sequence[Count]) -> Count:
    return Count(value=sum(count.value for count in counts), exact=all(count.exact for count in counts))


def list_of(model: str, **query: str) -> str:
    """Return the address of a list with these parameters."""
    return f"{reverse(f'admin:{model}_changelist')}?{urlencode(query)}"


def segments_page(names: Sequence[str]) -> str:
    """Return the list of exactly these segments; empty where an address cannot name them."""
    if len(names) > MOST_SEGMENTS_LINKED or any("," in name for name in names):
        return ""
    return list_of("segments_segment", external_id__in=",".join(names))


def products_together(difference: CategoryDifference) -> Count:
    """Return how many products the categories have together: one may be in several of them."""
    products = products_of(difference)
    [count] = counted(
        lambda limit: sql(
            "SELECT count(DISTINCT product_id) FROM ({products}{limit}) AS found",
            products=products,
            limit=limit,
        ),
        1,
    )
    return count


def counts_of(
    effects: Sequence[CategoryEffects],
    changing: Sequence[Category],
    value: Callable[[str], str],
    together: Callable[[], CategoryDifference],
    at: datetime,
) -> list[Fact]:
    """Return the sums of the effects on the categories, each with the list that it counts.

    `value` names in addresses what is counted; `together` makes the difference of all of them.
    """
    tenant_id = changing[0].tenant_id
    categories = total([one.categories for one in effects])
    hiding, showing = total([one.hiding for one in effects]), total([one.showing for one in effects])
    losing_segments = sorted({name for one in effects for name in one.losing_segments})
    gaining_segments = sorted({name for one in effects for name in one.gaining_segments})
    losing, gaining = [one.losing_members for one in effects], [one.gaining_members for one in effects]
    text = ngettext("category, with those below it", "categories, with those below them", categories.value)
    keys = ",".join(str(category.pk) for category in changing)
    facts = [Fact(shown(categories), text, list_of("catalog_category", below=keys))]
    page = "admin:catalog_category_changelist"
    if hiding.value:
        text = ngettext(
            "category is hidden from shoppers", "categories are hidden from shoppers", hiding.value
        )
        facts.append(Fact(shown(hiding), text, effect_page(page, value(Shown.HIDDEN)), is_loss=True))
        products = effects[0].products if len(effects) == 1 else products_together(together())
        if products.value:
            of_products = effect_page("admin:catalog_product_changelist", value(Shown.PRODUCTS))
            # Translators: after the number of products in categories that are hidden
            text = ngettext("product in it", "products in them", products.value)
            facts.append(Fact(shown(products), text, of_products))
    if showing.value:
        text = ngettext("category is shown to shoppers", "categories are shown to shoppers", showing.value)
        facts.append(Fact(shown(showing), text, effect_page(page, value(Shown.SHOWN))))
    for names, members, is_loss in ((losing_segments, losing, True), (gaining_segments, gaining, False)):
        if not names:
            continue
        text = (
            ngettext("segment loses categories", "segments lose categories", len(names))
            if is_loss
            else ngettext("segment gets categories", "segments get categories", len(names))
        )
        listed = ", ".join(names[:MOST_SEGMENTS_NAMED]) + (" …" if len(names) > MOST_SEGMENTS_NAMED else "")
        rows = Segment.objects.for_tenant(tenant_id).filter(external_id__in=names)
        holders = Difference(tenant_id, at, losing=list(rows.values_list("pk", flat=True)), gaining=[])
        # who is in the segments of several of them is one customer
        count = members[0] if len(members) == 1 else members_of(tenant_id, holders.losing, at)
        number = ngettext("{number} member", "{number} members", count.value).format(number=shown(count))
        is_named = len(holders.losing) <= MOST_KEYS  # an address takes no more
        parts = [
            part(number, count, customers_page(Affected.LOSING, holders) if is_named else ""),
            Part(listed, is_names=True),
        ]
        facts.append(Fact(exact_count(len(names)), text, segments_page(names), parts, is_loss=is_loss))
    return facts
