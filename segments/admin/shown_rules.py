"""How the page of a rule shows its rows, and in words and numbers what it would do."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer, LegalEntity
from core.admin.confirmation import Fact, Part
from core.admin.counts import exact_count
from core.admin.faults import fault_text
from segments.admin.effect_facts import opened_facts
from segments.admin.linked_lists import page_left_out
from segments.forms.rules import RuleForm
from segments.models import CustomerAssignment, Rule, Segment
from segments.rules.facts import fact_names
from segments.rules.previews import (
    Counted,
    PreviewBody,
    RulePreview,
)
from segments.rules.rows import (
    WITHOUT_VALUE,
    Row,
)

MOST_SAMPLED = 200  # customers whose own attributes are offered as fields
LABELS = {
    "id": _("Customer number"),
    "email": _("E-mail"),
    "firstName": _("First name"),
    "lastName": _("Last name"),
    "company": _("Company, as the customer wrote it"),
    "type": _("Type"),
    "active": _("Active (true or false)"),
    "onHold": _("On hold (true or false)"),
    "lastLogin": _("Last login"),
    "metadataCreatedAt": _("Customer since"),
    "preferredLanguage": _("Preferred language"),
    "preferredCurrency": _("Preferred currency"),
    "preferredSite": _("Preferred site"),
    "legalEntityIds": _("Companies of the customer, by id"),
    "legalEntities.type": _("Type of one of the companies"),
    "legalEntities.name": _("Name of one of the companies"),
    "segments": _("Member of other segments, by id"),
    "bucket": _("Part of an experiment (0 to 99)"),
    "redemptions.count": _("Coupons redeemed"),
    "redemptions.total": _("Discount by coupons"),
    "redemptions.lastAt": _("Last coupon redeemed"),
    "redemptions.codes": _("Codes of redeemed coupons"),
    "redemptions.90d.count": _("Coupons redeemed in 90 days"),
    "redemptions.90d.total": _("Discount by coupons in 90 days"),
    "redemptions.365d.count": _("Coupons redeemed in 365 days"),
    "redemptions.365d.total": _("Discount by coupons in 365 days"),
    "name": _("Name of the company"),
    "parentId": _("Parent company, by id"),
}
CUSTOMERS, COMPANIES = Rule.Membership.CUSTOMER, Rule.Membership.LEGAL_ENTITY


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of the page; `label` says in words what its field is."""

    row: Row
    group: int
    number: int
    label: str
    fault: str

    @property
    def place(self) -> str:
        return f"{self.group}-{self.number}"

    @property
    def takes_value(self) -> bool:
        return self.row.test not in WITHOUT_VALUE


@dataclass(frozen=True, slots=True)
class ShownTerm:
    """A condition of the rule, and for how many it holds."""

    q: str
    count: int | None
    text: str
    url: str


def rule_address(segment: Segment) -> str:
    return reverse("admin:segments_segment_rule", args=[segment.pk])


def preview_body(segment: Segment, form: RuleForm, *, is_exact: bool = False) -> PreviewBody:
    """Return what was entered as the body of the API's preview."""
    return PreviewBody(
        q=form.text,
        segment_id=segment.external_id,
        mode=form.mode,  # type: ignore[arg-type]
        membership=form.membership,  # type: ignore[arg-type]
        exact=is_exact,
    )


def counted_address(
    segment: Segment, form: RuleForm, which: Counted, *, term: int = 0, after: str = ""
) -> str:
    """Return the address of the list of the members that a number of the preview counts."""
    query = {"q": form.text, "mode": form.mode, "membership": form.membership, "of": which.value}
    if which is Counted.TERM:
        query["term"] = str(term)
    if after:
        query["after"] = after
    return f"{reverse('admin:segments_segment_rule_counted', args=[segment.pk])}?{urlencode(query)}"


def why_address(assignment: CustomerAssignment) -> str:
    """Return the address of the page that says why the customer is a member."""
    page = reverse("admin:segments_segment_rule_why", args=[assignment.segment_id])
    query = {"customer": assignment.customer.external_id}
    if assignment.legal_entity is not None:
        query["company"] = assignment.legal_entity.external_id
    return f"{page}?{urlencode(query)}"


def sees_customers(request: HttpRequest) -> bool:
    user = request.user
    return bool(user.has_perm("accounts.view_customer"))


def fingerprint(form: RuleForm) -> str:
    """Return what a preview was made of: saving another rule asks for a look at that one first."""
    return f"{form.mode} {form.membership} {form.text}"


def capped(count: int | None, is_capped: bool) -> str:
    """Return a count of a preview as people read it."""
    if count is None:
        return gettext("not counted in time")
    if not is_capped:
        return exact_count(count)
    return gettext("about {number}").format(number=exact_count(count)) if count else gettext("hardly any")


def is_estimated(preview: RulePreview) -> bool:
    """Say whether a number of the preview is an estimate."""
    return preview.is_capped or any(term.is_capped for term in preview.terms)


def preview_facts(
    segment: Segment,
    form: RuleForm,
    preview: RulePreview,
    everybody: int,
    at: datetime,
    request: HttpRequest,
) -> list[Fact]:
    """Return what the rule would do: how many match, who joins and leaves, and what that opens to them."""
    parts = []
    if everybody and preview.share is not None:
        share = number_format(100 * preview.share, 1, use_l10n=True)
        text = ngettext("of {number} customer ({share} %)", "of {number} customers ({share} %)", everybody)
        customers = reverse("admin:accounts_customer_changelist")
        parts.append(Part(text.format(number=exact_count(everybody), share=share), customers))
    pages = {which: counted_address(segment, form, which) for which in Counted}
    text = ngettext("belongs", "belong", preview.count or 0)
    facts = [Fact(capped(preview.count, preview.is_capped), text, pages[Counted.BELONG], parts)]
    for count, text, which in (
        (preview.joins, ngettext("joins", "join", preview.joins or 0), Counted.JOIN),
        (preview.leaves, ngettext("leaves", "leave", preview.leaves or 0), Counted.LEAVE),
    ):
        is_loss = which is Counted.LEAVE and bool(count)
        facts.append(Fact(capped(count, preview.is_capped), text, pages[which], is_loss=is_loss))
    facts += opened_facts(request, segment, at)
    if preview.left_out:
        left_out = capped(preview.left_out, preview.is_capped)
        text = ngettext(
            "redemption in another currency left out",
            "redemptions in other currencies left out",
            preview.left_out,
        )
        facts.append(Fact(left_out, text, page_left_out(segment, preview_body(segment, form))))
    return facts


def shown_groups(form: RuleForm) -> list[list[ShownRow]]:
    return [
        [
            ShownRow(
                row,
                number,
                place,
                label_of(row.field),
                capfirst(fault_text(form.fault)) if form.faulty == (number, place) else "",
            )
            for place, row in enumerate(rows)
        ]
        for number, rows in enumerate(form.groups or [])
    ]


def label_of(field: str) -> str:
    """Return what a field is in words; empty for one that has no other name."""
    return str(LABELS.get(field, ""))


def offered_fields(segment: Segment, membership: str) -> list[tuple[str, str]]:
    """Return the fields that a rule may name, and what they are in words.

    Members of own attributes are those of some customers.
    """
    names = [name for name in fact_names(membership) if not name.endswith("*")]
    if membership == CUSTOMERS:
        names += [name for name in LABELS if name.startswith("redemptions.365d")]
    kind = Customer if membership == CUSTOMERS else LegalEntity
    rows = kind.objects.filter(tenant=segment.tenant_id, mixins__isnull=False).order_by("id")
    attributes: set[str] = set()
    for mixins in rows.values_list("mixins", flat=True)[:MOST_SAMPLED]:
        for schema, members in mixins.items():
            if isinstance(members, dict):
                attributes |= {f"mixins.{schema}.{name}" for name in members}
    named = sorted(set(names), key=lambda name: (name not in LABELS, name))
    return [(name, label_of(name)) for name in [*named, *sorted(attributes)]]
