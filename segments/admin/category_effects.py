"""What a change of categories does to shoppers, for the pages of the catalogue that ask first."""

from collections.abc import Sequence

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext

from catalog.models import Category
from core.admin.confirmation import Fact
from core.admin.counts import exact_count
from segments.admin.effects import dependent_facts, shown, visible_dependents
from segments.counting import Count
from segments.effects import CategoryChangeBody, CategoryEffects, category_effects

MOST_CATEGORIES = 20
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
            body=CategoryChangeBody(
                category_id=category.external_id,
                change=change,  # type: ignore[arg-type]
                parent_id=parent.external_id if parent else None,
                with_subcategories=change == "DELETE",  # as the admin deletes
            ),
            at=at,
            scopes={each.scope for each in dependents},
        )
        for category in looked_at
    ]
    facts = counts_of(found, ",".join(str(category.pk) for category in looked_at))
    for category, one in zip(looked_at, found, strict=True):
        for each in dependents:
            page = f"{reverse(each.page)}?{each.category_parameter}={category.pk}"
            facts += dependent_facts(each, one.dependents[each.type], page, category.tenant_id)
    if len(categories) > MOST_CATEGORIES:
        text = gettext("categories are selected; the numbers are those of the first {most}")
        facts.insert(0, Fact(exact_count(len(categories)), text.format(most=MOST_CATEGORIES)))
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


def counts_of(effects: Sequence[CategoryEffects], keys: str) -> list[Fact]:
    """Return the sums of the effects, each with the list that it counts; `keys` are of the categories."""
    categories = total([one.categories for one in effects])
    hiding, showing = total([one.hiding for one in effects]), total([one.showing for one in effects])
    losing_segments = sorted({name for one in effects for name in one.losing_segments})
    gaining_segments = sorted({name for one in effects for name in one.gaining_segments})
    losing, gaining = (
        total([one.losing_members for one in effects]),
        total([one.gaining_members for one in effects]),
    )
    text = ngettext("category, with those below it", "categories, with those below them", categories.value)
    facts = [Fact(shown(categories), text, list_of("catalog_category", below=keys))]
    page = list_of("catalog_category", shown_below=keys)
    if hiding.value:
        text = ngettext(
            "category is hidden from shoppers", "categories are hidden from shoppers", hiding.value
        )
        facts.append(Fact(shown(hiding), text, page, is_loss=True))
        products = total([one.products for one in effects])
        if products.value:
            # Translators: after the number of products in categories that are hidden
            text = ngettext("product in it", "products in them", products.value)
            facts.append(Fact(shown(products), text, list_of("catalog_product", shown_below=keys)))
    if showing.value:
        text = ngettext("category is shown to shoppers", "categories are shown to shoppers", showing.value)
        facts.append(Fact(shown(showing), text, page))
    for names, members, is_loss in ((losing_segments, losing, True), (gaining_segments, gaining, False)):
        if not names:
            continue
        text = (
            ngettext("segment loses categories", "segments lose categories", len(names))
            if is_loss
            else ngettext("segment gets categories", "segments get categories", len(names))
        )
        listed = ", ".join(names[:MOST_SEGMENTS_NAMED]) + (" …" if len(names) > MOST_SEGMENTS_NAMED else "")
        details = ngettext("{number} member: {names}", "{number} members: {names}", members.value)
        details = details.format(number=shown(members), names=listed)
        facts.append(Fact(exact_count(len(names)), text, segments_page(names), details, is_loss=is_loss))
    return facts
