"""The page that shows the shop as a customer sees it. Its address says everything, so it can be kept."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer, LegalEntity, Site
from catalog.models import Product
from core.admin.faults import refusal_text
from core.admin.filters import visible_rows
from core.admin.keys import key_of
from core.admin.moments import time_text_of, with_offset
from core.admin.pages import RowLink, register_page, register_row_link
from core.admin.tenants import staff_of
from core.errors import DomainError
from core.json_types import JsonObject
from core.names import name_for_reader
from core.representation.fields import Languages
from core.timestamps import local_moment, parse_time
from segments.admin.customer_explanations import (
    ASKED,
    asking,
    changed,
    explained,
    hits,
    name_of_link,
    segment_link,
)
from segments.console.customer_view_parts import registered_usable
from segments.console.explanation_words import reasons_in_words
from segments.console.object_pages import addresses
from segments.customer_context import Shopper
from segments.customer_view import (
    CustomerView,
    all_products,
    at_its_time,
    categories_beyond,
    keys_of_products,
    products_beyond,
    products_view,
    view_of,
)
from segments.explanations import (
    ExplainedPath,
    Failing,
    Question,
    entity_id_of,
)
from segments.forms.preview import PreviewForm
from segments.models import CustomerAssignment, Segment

PRODUCTS_SHOWN = 50
MOST_OPEN = 50
MOST_MATCHING = 5_000
MOST_MEMBERS_OFFERED = 5


def page_of(**query: str | int) -> str:
    """Return the address of the page; what it asks about is named by keys."""
    named = QueryDict(mutable=True)
    named.update({name: str(value) for name, value in query.items()})
    return f"{reverse('admin:view_as_customer')}?{named.urlencode()}"


def view_as_customer(request: HttpRequest) -> HttpResponse:
    """Ask for a customer and a time, and show what they see, what they do not, and why."""
    user = request.user
    if not (user.has_perm("segments.view_segment") and user.has_perm("accounts.view_customer")):
        raise PermissionDenied
    model_admin = admin.site.get_model_admin(Segment)
    form = PreviewForm(
        request.GET if "customer" in request.GET else None,
        admin_site=admin.site,
        customers=visible_rows(Customer, request, model_admin),
        legal_entities=visible_rows(LegalEntity, request, model_admin),
        sites=visible_rows(Site, request, model_admin),
    )
    context: dict[str, object] = {
        **admin.site.each_context(request),
        "title": _("View as customer"),
        "form": form,
        "kept": kept_parameters(request),
        "media": model_admin.media + form.media,
        "offered": offered_members(request, model_admin),
    }
    if form.is_bound and form.is_valid():
        try:
            if "X-Fragment" in request.headers:
                return late_counts(request, form)
            context |= shown(request, form)
        except DomainError as refused:
            form.add_error(field_of(refused, form), refusal_text(refused))
    return TemplateResponse(request, "admin/segments/customer_view.html", context)


def field_of(refused: DomainError, form: PreviewForm) -> str:
    """Return the field of the form that an error is about; of two times the earlier is before the history."""
    if refused.field != "asOf":
        return "legal_entity"
    at, than = form.cleaned_data["at"], form.cleaned_data["than"]
    return "than" if than is not None and (at is None or than < at) else "at"


def kept_parameters(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what the form hands on: what is asked about."""
    return [(name, request.GET[name]) for name in (*ASKED, "segment") if name in request.GET]


def offered_members(request: HttpRequest, model_admin: admin.ModelAdmin) -> list[dict[str, str]]:
    """Return links for some members of the segment that the page was opened from."""
    key = key_of(request.GET.get("segment", ""))
    if key is None or "customer" in request.GET:
        return []
    members = visible_rows(CustomerAssignment, request, model_admin).filter(segment=key)
    customers = admin.site.get_model_admin(Customer)
    return [
        {
            "text": customers.autocomplete_text(one.customer),  # type: ignore[attr-defined]
            "url": page_of(customer=one.customer_id, segment=key),
        }
        for one in members.select_related("customer").order_by("-id")[:MOST_MEMBERS_OFFERED]
    ]


def question_of(form: PreviewForm, at: datetime) -> Question:
    customer: Customer = form.cleaned_data["customer"]
    entity: LegalEntity | None = form.cleaned_data["legal_entity"]
    site: Site | None = form.cleaned_data["site"]
    return Question(
        Shopper(
            customer.tenant_id,
            customer_number=customer.external_id,
            named_legal_entity=entity.external_id if entity else "",
        ),
        "",
        "",
        site.code if site else "",
        at,
        Languages((get_language() or "en",), customer.tenant.default_language),
    )


def shown(request: HttpRequest, form: PreviewForm) -> dict[str, object]:
    """Return what the template shows of the customer's view."""
    customer: Customer = form.cleaned_data["customer"]
    at = form.cleaned_data["at"] or timezone.now()
    than = form.cleaned_data["than"]
    now = timezone.now()
    other = None
    if than:
        question = question_of(form, than)
        with at_its_time(question, now=now):
            other = view_of(question)
    question = question_of(form, at)
    with at_its_time(question, now=now):
        return shown_at(request, view_of(question), other, customer, at, than)


def shown_at(
    request: HttpRequest,
    view: CustomerView,
    other: CustomerView | None,
    customer: Customer,
    at: datetime,
    than: datetime | None,
) -> dict[str, object]:
    default = customer.tenant.default_language
    opened = [part for part in request.GET.get("open", "").split(",") if part][:MOST_OPEN]

    def named(node: Mapping[str, object]) -> str:
        return name_for_reader(node["name"], default) or str(node["id"])

    entity_id = entity_id_of(view.resolved)
    usable = usable_parts(request, view)
    return {
        "view": view,
        "customer": customer,
        "customer_page": reverse("admin:accounts_customer_change", args=[customer.pk]),
        "at": at,
        "than": than,
        "is_dated": bool(request.GET.get("at_0")),
        "now_compared": changed(request, **moment_parameters("than", timezone.now())),
        "acting_for": LegalEntity.objects.filter(tenant=customer.tenant_id, external_id=entity_id).first()
        if entity_id
        else None,
        "memberships": shown_memberships(view, default),
        "counting": sum(path.ok for path in view.memberships),
        "branches": list(branches(request, view.forest, opened, named, set(other.nodes) if other else None)),
        "categories": len(view.nodes),
        "new_categories": categories_beyond(view, other, named) if other else None,
        "gone_categories": categories_beyond(other, view, named) if other else None,
        "products": shown_products(request, view),
        "late": changed(request),
        "usable": usable,
        "why": explained(request, view.question, default),
        "hits": hits(request),
        "asked_text": request.GET.get("why", ""),
        "parameters": [pair for pair in request.GET.items() if pair[0] not in ("why", *ASKED)],
        "search_parameters": [pair for pair in request.GET.items() if pair[0] not in ("q", "after")],
    }


def late_counts(request: HttpRequest, form: PreviewForm) -> HttpResponse:
    """Count the products, and compare them; the page fetches this, as it reads all of them."""
    customer: Customer = form.cleaned_data["customer"]
    default = customer.tenant.default_language
    now = timezone.now()
    moments = [form.cleaned_data["at"] or now, *filter(None, [form.cleaned_data["than"]])]
    shown = []
    for moment in moments:
        question = question_of(form, moment)
        with at_its_time(question, now=now):
            shown.append(all_products(products_view(question)))

    def named(node: Mapping[str, object]) -> str:
        return name_for_reader(node["name"], default) or str(node["id"])

    here, there = shown[0], shown[-1]
    context: dict[str, object] = {"total": None if here is None else len(here)}
    if len(moments) == 2 and here is not None and there is not None:
        context["new"] = products_beyond(here, there, named)
        context["gone"] = products_beyond(there, here, named)
    return TemplateResponse(request, "admin/segments/late_products.html", context)


def moment_parameters(name: str, moment: datetime) -> dict[str, str]:
    local = local_moment(moment).replace(second=0, microsecond=0)
    return {f"{name}_0": f"{local:%Y-%m-%d}", f"{name}_1": time_text_of(with_offset(local))}


# Memberships


STYLES: dict[str, str] = {
    Failing.MEMBERSHIP_NOT_STARTED: "waiting",
    Failing.SEGMENT_NOT_STARTED: "waiting",
    Failing.MEMBERSHIP_OVER: "over",
    Failing.SEGMENT_OVER: "over",
}
"""How a membership that does not count looks, as states do everywhere; of other reasons as inactive."""


def shown_memberships(view: CustomerView, default: str) -> list[dict[str, object]]:
    tenant_id = view.question.shopper.tenant_id
    pages = addresses(tenant_id, "segment", [path.segment_id or "" for path in view.memberships])
    return [
        {
            "name": name_of_link(segment_link(path), default),
            "url": pages.get(path.segment_id or "", ""),
            "ok": path.ok,
            "reasons": reasons_in_words(path.reasons),
            "style": "on" if path.ok else STYLES.get(path.reasons[0], "off"),
            "until": until_of(path),
        }
        for path in view.memberships
    ]


def until_of(path: ExplainedPath) -> datetime | None:
    """Return when the membership ceases to count: at the end of the segment's window or its own."""
    ends = [parse_time(link.valid_to, field="validity") for link in path.links if link.valid_to]
    return min(ends, default=None)


# Categories


@dataclass(frozen=True, slots=True)
class Branch:
    """A category of the tree, with those below it if it is opened."""

    name: str
    is_assigned: bool
    is_new: bool
    count: int
    toggle: str
    is_open: bool
    why: str
    children: list["Branch"] = field(default_factory=list)


def branches(
    request: HttpRequest,
    nodes: Iterable[JsonObject],
    opened: list[str],
    named: Callable[[Mapping[str, object]], str],
    known: set[str] | None,
) -> Iterator[Branch]:
    """Yield the categories of one level; those below only of opened ones."""
    for node in nodes:
        below = node.get("subcategories", [])
        is_open = bool(below) and node["id"] in opened
        others = [key for key in opened if key != node["id"]]
        toggled = others if is_open else [*others, node["id"]]
        yield Branch(
            name=named(node),
            is_assigned=node["isSegmentAssigned"],
            is_new=known is not None and node["isSegmentAssigned"] and node["id"] not in known,
            count=count_below(below),
            toggle=f"{changed(request, open=','.join(toggled) or None)}#categories" if below else "",
            is_open=is_open,
            why=node["id"],
            children=list(branches(request, below, opened, named, known)) if is_open else [],
        )


def count_below(nodes: list[JsonObject]) -> int:
    return sum(node["isSegmentAssigned"] + count_below(node.get("subcategories", [])) for node in nodes)


# Products


def shown_products(request: HttpRequest, view: CustomerView) -> dict[str, object]:
    """Return a page of the products, in the order of their keys, as the search narrows them."""
    term = request.GET.get("q", "")[:200]
    after = key_of(request.GET.get("after", ""))
    among = None
    if term:
        everything: QuerySet[Product] = Product.objects.filter(tenant=view.question.shopper.tenant_id)
        model_admin = admin.site.get_model_admin(Product)
        matching, _may_repeat = model_admin.get_search_results(request, everything, term)
        among = list(matching.order_by("pk").values_list("pk", flat=True)[:MOST_MATCHING])
    found = keys_of_products(view, after=after, among=among, most=PRODUCTS_SHOWN + 1)
    rows = {one.pk: one for one in Product.objects.filter(pk__in=found).select_related("tenant")}
    page = [rows[key] for key in found[:PRODUCTS_SHOWN] if key in rows]
    return {
        "rows": [
            {
                "text": str(one),
                "url": reverse("admin:catalog_product_change", args=[one.pk]),
                "why": asking(request, "product", one.pk),
            }
            for one in page
        ],
        "term": term,
        "first": changed(request, after=None) + "#products" if after is not None else "",
        "next": changed(request, after=page[-1].pk) + "#products" if len(found) > PRODUCTS_SHOWN else "",
    }


# What others register


def usable_parts(request: HttpRequest, view: CustomerView) -> list[JsonObject]:
    user = request.user
    found = []
    for part in registered_usable():
        if not user.has_perm(part.right):
            continue
        things: list[JsonObject] = [
            {
                "thing": one,
                "words": reasons_in_words(one.reasons),
                "why": asking(request, part.type, one.key),
            }
            for one in part.things(view)
        ]
        found.append(
            {
                "type": part.type,
                "usable": [one for one in things if not one["thing"].reasons],
                "refused": [one for one in things if one["thing"].reasons],
            }
        )
    return found


register_page(path("view-as-customer/", admin.site.admin_view(view_as_customer), name="view_as_customer"))


def link_from(parameter: str) -> RowLink:
    """Return the link to this page from the page of a row."""

    def link(request: HttpRequest, row: Model) -> dict[str, object] | None:
        user = staff_of(request)
        if not (user.has_perm("segments.view_segment") and user.has_perm("accounts.view_customer")):
            return None
        text = _("View as customer") if parameter == "customer" else _("Why does a customer see it, or not?")
        return {"url": page_of(**{parameter: row.pk}), "text": text, "note": ""}

    return link


for label, parameter in (
    ("accounts.Customer", "customer"),
    ("catalog.Product", "product"),
    ("catalog.Category", "category"),
    ("coupons.Coupon", "coupon"),
):
    register_row_link(label, link_from(parameter))
