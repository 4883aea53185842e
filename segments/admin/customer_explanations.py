"""Why a customer sees something, or not, as the page of the customer's view shows it."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext

from catalog.models import Category
from core.admin.keys import key_of
from core.admin.moments import shown_moment
from core.journal.models import Change
from core.journal.words import person_of
from core.names import name_for_reader
from core.timestamps import parse_time
from segments.console.explanation_words import reasons_in_words
from segments.console.object_pages import addresses, object_by_key
from segments.explanations import (
    ExplainedLink,
    ExplainedPath,
    Explanation,
    Question,
    explain,
)

MOST_HITS = 8
ASKED = ("product", "category", "coupon")
RIGHTS = {
    "product": "catalog.view_product",
    "category": "catalog.view_category",
    "coupon": "coupons.view_coupon",
}


def changed(request: HttpRequest, **changes: str | int | None) -> str:
    """Return this page's address with these parameters changed; None takes one away."""
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f"?{query.urlencode()}"


def asking(request: HttpRequest, kind: str, key: int) -> str:
    """Return this page's address with the question why something is visible."""
    others: dict[str, int | None] = dict.fromkeys(ASKED)
    return f"{changed(request, why=None, **{**others, kind: key})}#why"


def segment_link(path: ExplainedPath) -> ExplainedLink:
    return next(link for link in path.links if link.type == "segment")


def name_of_link(link: ExplainedLink, default: str) -> str:
    return name_for_reader(link.name, default) or link.id or ""


def hits(request: HttpRequest) -> list[dict[str, str]]:
    """Return what a question in words may mean: products, categories and coupons that it finds."""
    term = request.GET.get("why", "").strip()[:200]
    user = request.user
    found: list[dict[str, str]] = []
    if not term:
        return found
    for kind in ASKED:
        if not user.has_perm(RIGHTS[kind]):
            continue
        model = next((one for one in admin.site._registry if one._meta.model_name == kind), None)
        if model is None:
            continue
        model_admin = admin.site.get_model_admin(model)
        rows, _may_repeat = model_admin.get_search_results(request, model_admin.get_queryset(request), term)
        for row in rows[:MOST_HITS]:
            kind_name = str(model._meta.verbose_name)
            found.append({"text": str(row), "kind": kind_name, "url": asking(request, kind, row.pk)})
    return found


def explained(request: HttpRequest, question: Question, default: str) -> dict[str, object] | None:
    """Return the chain of what the address asks about."""
    user = request.user
    kind = next((name for name in ASKED if key_of(request.GET.get(name, "")) is not None), None)
    if kind is None or not user.has_perm(RIGHTS[kind]):
        return None
    key = key_of(request.GET[kind])
    assert key is not None
    named = object_by_key(question.shopper.tenant_id, kind, key)
    if named is None:
        return None
    external_id, row = named
    found = explain(
        Question(question.shopper, kind, external_id, question.site_code, question.at, question.languages)
    )
    path = found.paths[0] if found.paths else None
    return {
        "found": found,
        "kind": kind,
        "name": str(row),
        "url": reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk]),
        "verdict": verdict_of(found),
        "links": [shown_link(link, question.shopper.tenant_id, default) for link in path.links]
        if path
        else [],
        "others": [
            {
                "name": name_of_link(segment_link(one), default),
                "ok": one.ok,
                "reasons": reasons_in_words(one.reasons),
            }
            for one in found.paths[1:]
            if one.segment_id
        ],
        "reasons": reasons_in_words(found.reasons) if path is None else "",
    }


def verdict_of(found: Explanation) -> str:
    if found.type == "coupon":
        return gettext("Yes: it can be used.") if found.visible else gettext("No: it cannot be used.")
    return gettext("Yes: it is shown.") if found.visible else gettext("No: it is not shown.")


def shown_link(link: ExplainedLink, tenant_id: int, default: str) -> dict[str, object]:
    """Return a link of the chain in words, and where to change what fails."""
    kind = {"membership": "", "assignment": ""}.get(link.type, link.type)
    page = addresses(tenant_id, kind, [link.id]).get(link.id, "") if kind and link.id else ""
    name = name_of_link(link, default)
    match link.type:
        case "membership":
            text = (
                gettext("Member for the company {id}").format(id=link.legal_entity_id)
                if (link.legal_entity_id)
                else gettext("Member")
            )
        case "segment":
            text = gettext("Segment {name} counts").format(name=name)
        case "assignment":
            text = (
                gettext("Assigned to it through a category that contains it")
                if link.inherited
                else gettext("Assigned to it")
            )
        case "category":
            text = gettext("Category {name} is published, and all above it").format(
                name=category_name(tenant_id, link.id, default)
            )
        case "product":
            text = gettext("Product is published")
        case _:
            text = gettext("Can be used by itself")
    return {
        "text": text,
        "ok": link.ok,
        "reasons": reasons_in_words(link.reasons),
        "url": page,
        "blame": blame_of(link, tenant_id),
        "until": parse_time(link.valid_to, field="validity") if link.valid_to else None,
    }


def category_name(tenant_id: int, external_id: str | None, default: str) -> str:
    names = Category.objects.filter(tenant=tenant_id, external_id=external_id).values_list("name", flat=True)
    return name_for_reader(names.first(), default) or external_id or ""


def blame_of(link: ExplainedLink, tenant_id: int) -> str:
    """Say who unpublished what fails, and when, if the journal knows."""
    if link.type not in ("product", "category") or link.ok or not link.id:
        return ""
    change = (
        Change.objects.filter(
            tenant=tenant_id,
            object=link.type,
            external_id=link.id,
            kind="updated",
            after__has_key="is_published",
        )
        .order_by("-at", "-id")
        .first()
    )
    if change is None:
        return ""
    return format_html(gettext("unpublished by {} on {}"), person_of(change), shown_moment(change.at))
