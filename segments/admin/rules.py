"""The page "Who belongs" of a segment: its rule as rows and as text, what it would do, and its state."""

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DataError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import Customer, LegalEntity
from core.admin.counts import exact_count
from core.admin.faults import fault_text, refusal_text
from core.admin.filters import visible_rows
from core.admin.keys import key_of
from core.admin.undo import message_with_undo
from core.errors import DomainError
from core.representation.conditions import QuerySyntaxError
from core.unavailability import contention_as_refusal
from segments.admin.effect_facts import members_page
from segments.admin.shown_rules import (
    COMPANIES,
    CUSTOMERS,
    ShownTerm,
    capped,
    counted_address,
    fingerprint,
    is_estimated,
    offered_fields,
    preview_body,
    preview_facts,
    rule_address,
    sees_customers,
    shown_groups,
)
from segments.forms.rules import MOST_CHARACTERS, RuleForm, known
from segments.models import Rule, RuleExclusion, Segment
from segments.rules.evaluation import SLOW
from segments.rules.explanations import explain_rule
from segments.rules.operations import (
    ask_for_evaluation,
    lift_exclusion,
    save_rule,
    turn_off_rule,
    waiting_for,
)
from segments.rules.previews import (
    NOT_COMPARABLE,
    Counted,
    Member,
    RulePreview,
    counted_members,
    preview_rule,
)
from segments.rules.rows import (
    AT_LEAST,
    AT_MOST,
    BETWEEN,
    IS,
    IS_NOT,
    KNOWN,
    LESS,
    MATCHES,
    MORE,
    TOP,
    UNKNOWN,
    Row,
    place_of,
)
from segments.tallies import customers_of

LISTED = 50  # members on a page of those that a number counts
MOST_EXCLUSIONS = 100
TESTS = {
    IS: _("is"),
    IS_NOT: _("is not"),
    AT_LEAST: _("at least / since"),
    MORE: _("more than / after"),
    AT_MOST: _("at most / until"),
    LESS: _("less than / before"),
    BETWEEN: _("between"),
    KNOWN: _("known"),
    UNKNOWN: _("not known"),
    TOP: _("among the highest"),
    MATCHES: _("matches (regex)"),
}
LIVE, SNAPSHOT = Rule.Mode.LIVE, Rule.Mode.SNAPSHOT
TEMPLATES = {
    "new": (_("New in 30 days"), "metadataCreatedAt:>=now-30d", LIVE, CUSTOMERS),
    "sleeping": (
        _("Sleeping for 90 days"),
        "compoundLogicalQuery:((lastLogin:<now-90d) OR (lastLogin:missing)) metadataCreatedAt:<now-90d",
        LIVE,
        CUSTOMERS,
    ),
    "best": (_("The best by redemptions"), "redemptions.365d.total:top(10%)", SNAPSHOT, CUSTOMERS),
    "companies": (_("Contacts of companies of a kind"), "type:COMPANY", LIVE, COMPANIES),
}
COUNTED = {
    Counted.BELONG: _("Who would belong"),
    Counted.JOIN: _("Who would join"),
    Counted.LEAVE: _("Who would leave"),
    Counted.TERM: _("Of whom the condition is true"),
}
STATES = {
    Rule.State.PENDING: "waiting",
    Rule.State.EVALUATING: "waiting",
    Rule.State.READY: "on",
    Rule.State.FAILED: "broken",
}


class RulePages(admin.ModelAdmin):
    """Adds the page of the rule, and the one that says why a customer belongs, to the segment's admin."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:key>/rule/", view(self.rule_page), name="segments_segment_rule"),
            path("<int:key>/rule/counted/", view(self.counted_page), name="segments_segment_rule_counted"),
            path("<int:key>/rule/why/", view(self.why_page), name="segments_segment_rule_why"),
            *super().get_urls(),
        ]

    # --- who belongs ---

    def rule_page(self, request: HttpRequest, key: int) -> HttpResponse:
        """Show the rule and its state; preview, save, evaluate or turn it off."""
        segment = self._segment_of_rule(request, key)
        rule = Rule.objects.filter(tenant=segment.tenant_id, segment=segment).first()
        if rule is not None:
            rule.segment = segment
        may_edit = self._may_edit(request, segment)
        if request.method != "POST":
            return self._rule_response(request, segment, rule, self._form_to_begin_with(request, rule))
        if not may_edit:
            raise PermissionDenied
        action, _separator, argument = request.POST.get("do", "preview").partition(":")
        try:
            with contention_as_refusal():
                if self._act_on_rule(request, segment, action, argument):
                    return HttpResponseRedirect(rule_address(segment))
        except DomainError as refused:
            self.message_user(request, refusal_text(refused), messages.ERROR)
            return HttpResponseRedirect(rule_address(segment))
        form = RuleForm.sent(request.POST)
        self._edit_rows(form, action, argument)
        preview = None
        if action in ("preview", "count", "save") and not form.fault:
            preview = self._rule_preview(segment, form, is_exact=action == "count")
        if action == "save" and preview is not None:
            if request.POST.get("previewed") != fingerprint(form):
                text = gettext("Nothing is saved yet. Look at what the rule does, then save it.")
                self.message_user(request, text, messages.WARNING)
            elif self._save_rule(request, segment, rule, form):
                return HttpResponseRedirect(rule_address(segment))
        return self._rule_response(request, segment, rule, form, preview)

    def _segment_of_rule(self, request: HttpRequest, key: int) -> Segment:
        if not self.has_view_permission(request):
            raise PermissionDenied
        segment = self.get_queryset(request).select_related("site", "tenant").filter(pk=key).first()
        if segment is None:
            raise Http404("There is no such segment.")
        return segment

    def _may_edit(self, request: HttpRequest, segment: Segment) -> bool:
        """A preview shows customers, so trying rules needs the permission to view customers as well."""
        return self.has_change_permission(request, segment) and sees_customers(request)

    def _form_to_begin_with(self, request: HttpRequest, rule: Rule | None) -> RuleForm:
        version = rule.version if rule else ""
        if template := TEMPLATES.get(request.GET.get("template", "")):
            return RuleForm.of_text(*template[1:], version)
        if rule is not None:
            return RuleForm.of_text(rule.q, rule.mode, rule.membership, version)
        return RuleForm(groups=[[Row()]])

    def _act_on_rule(self, request: HttpRequest, segment: Segment, action: str, argument: str) -> bool:
        """Do what needs no rule to be read; say whether that was asked for."""
        at = timezone.now()
        tenant_id, segment_id = segment.tenant_id, segment.external_id
        match action:
            case "evaluate":
                ask_for_evaluation(tenant_id=tenant_id, segment_id=segment_id, at=at)
                text = gettext("The rule is being evaluated in the background.")
            case "lift":
                key = key_of(argument)
                excluded = RuleExclusion.objects.filter(
                    tenant=segment.tenant_id, segment=segment, customer=key
                ).select_related("customer")
                customer = excluded[0].customer if key is not None and excluded else None
                if customer is not None:
                    lift_exclusion(
                        tenant_id=tenant_id, segment_id=segment_id, customer_id=customer.external_id
                    )
                text = gettext("The rule may add the customer again.")
            case "turn_off":
                keeps = request.POST.get("members") != "remove"
                turn_off_rule(tenant_id=tenant_id, segment_id=segment_id, keeps_members=keeps, at=at)
                text = (
                    gettext("The rule is off. Its members stay, as if they had been added by hand.")
                    if keeps
                    else gettext("The rule is off, and its members are being removed.")
                )
            case _:
                return False
        if action == "evaluate":
            self.message_user(request, text, messages.SUCCESS)
        else:
            message_with_undo(request, text, back=rule_address(segment))
        return True

    def _edit_rows(self, form: RuleForm, action: str, argument: str) -> None:
        """Do what the buttons beside rows say."""
        numbers = [number for number in map(key_of, argument.split("-")) if number is not None]
        if action == "add_row" and len(numbers) == 1:
            form.add_row(numbers[0])
        elif action == "add_group":
            form.add_group()
        elif action == "remove_row" and len(numbers) == 2:
            form.remove_row(*numbers)
            form.fault, form.faulty = "", None
            form.read_rows()

    def _rule_preview(
        self, segment: Segment, form: RuleForm, *, is_exact: bool = False
    ) -> RulePreview | None:
        """Return what the rule would do; None, with a fault of the form, when it cannot be read."""
        preview = preview_rule(
            tenant=segment.tenant,
            body=preview_body(segment, form, is_exact=is_exact),
            at=timezone.now(),
        )
        if preview.fault is None:
            return preview
        message = preview.fault.message
        form.blame(fault_text(f"{message[:1].upper()}{message[1:]}"), preview.fault.position)
        if form.groups:
            form.faulty = place_of(form.groups, form.text, preview.fault.position) if form.text else None
        return None

    def _save_rule(self, request: HttpRequest, segment: Segment, rule: Rule | None, form: RuleForm) -> bool:
        """Save the rule; say whether that could be done, else the form has the reason."""
        seen = key_of(form.version)
        try:
            with contention_as_refusal():
                save_rule(
                    tenant_id=segment.tenant_id,
                    segment_id=segment.external_id,
                    q=form.text,
                    mode=form.mode,
                    membership=form.membership,
                    expected_version=0 if seen is None and rule is not None else seen,
                    at=timezone.now(),
                )
        except QuerySyntaxError as fault:
            reason = fault.message.partition(": ")[2]
            form.blame(fault_text(f"{reason[:1].upper()}{reason[1:]}"), fault.position)
            return False
        except DomainError as refused:
            form.fault = refusal_text(refused)
            return False
        text = gettext("Saved. The members follow in the background; this page shows how far that is.")
        message_with_undo(request, text, back=rule_address(segment))
        return True

    def _rule_response(
        self,
        request: HttpRequest,
        segment: Segment,
        rule: Rule | None,
        form: RuleForm,
        preview: RulePreview | None = None,
    ) -> HttpResponse:
        excluded = self._exclusions(segment)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Who belongs"),
            "subtitle": str(segment),
            "opts": self.opts,
            "segment": segment,
            "rule": rule,
            "rule_style": STATES[Rule.State(rule.state)] if rule else "",
            "is_slow": bool(rule and (rule.milliseconds or 0) > SLOW),
            "rule_members": exact_count(rule.members) if rule and rule.members is not None else "",
            "members_url": f"{members_page([segment.pk])}&assignment_type__exact=AUTOMATIC",
            "form": form,
            "fault": capfirst(fault_text(form.fault)),
            "last_fault": capfirst(fault_text(rule.message)) if rule else "",
            "waiting": fault_text(waiting_for(rule, timezone.now()) or "") if rule else "",
            "groups": shown_groups(form),
            "tests": TESTS.items(),
            "fields": offered_fields(segment, form.membership) if sees_customers(request) else [],
            "modes": Rule.Mode.choices,
            "memberships": Rule.Membership.choices,
            "templates": [(name, template[0]) for name, template in TEMPLATES.items()],
            "may_edit": self._may_edit(request, segment),
            "sees_customers": sees_customers(request),
            "preview": preview,
            "previewed": fingerprint(form) if preview else "",
            "is_estimated": preview is not None and is_estimated(preview),
            "exclusions": excluded[:MOST_EXCLUSIONS],
            "has_more_exclusions": len(excluded) > MOST_EXCLUSIONS,
            "media": self.media,
            **(self._shown_preview(request, segment, form, preview) if preview else {}),
        }
        return TemplateResponse(request, "admin/segments/rule.html", context)

    def _exclusions(self, segment: Segment) -> list[RuleExclusion]:
        rows: QuerySet = RuleExclusion.objects.filter(tenant=segment.tenant_id, segment=segment)
        return list(rows.select_related("customer", "legal_entity").order_by("-id")[: MOST_EXCLUSIONS + 1])

    def _shown_preview(
        self, request: HttpRequest, segment: Segment, form: RuleForm, preview: RulePreview
    ) -> dict[str, object]:
        at = timezone.now()
        of_customers = form.membership == CUSTOMERS
        everybody = customers_of(segment.tenant_id) if of_customers else 0
        most = max([everybody, *(term.count or 0 for term in preview.terms)])
        return {
            "facts": preview_facts(segment, form, preview, everybody, at, request),
            "terms": [
                ShownTerm(
                    term.q,
                    term.count,
                    capped(term.count, term.is_capped),
                    counted_address(segment, form, Counted.TERM, term=number),
                )
                for number, term in enumerate(preview.terms)
            ],
            "most": most,
        }

    # --- the members that a number counts ---

    def counted_page(self, request: HttpRequest, key: int) -> HttpResponse:
        """List the members that a number of a rule's preview counts, page by page."""
        segment = self._segment_of_rule(request, key)
        if not self._may_edit(request, segment):  # as a preview asks, of which this is a part
            raise PermissionDenied
        asked = request.GET
        form = RuleForm.of_text(
            asked.get("q", "")[:MOST_CHARACTERS],
            known(asked.get("mode", ""), Rule.Mode.values),
            known(asked.get("membership", ""), Rule.Membership.values),
        )
        which = Counted(asked["of"]) if asked.get("of") in set(Counted) else Counted.BELONG
        term = key_of(asked.get("term", "")) or 0
        numbers = [key_of(text) or 0 for text in asked.get("after", "").split("-")]
        found: list[Member] | None = []
        fault = form.fault
        try:
            if not fault:
                found = counted_members(
                    tenant=segment.tenant,
                    body=preview_body(segment, form),
                    which=which,
                    term=term,
                    after=(numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0),
                    most=LISTED + 1,
                    at=timezone.now(),
                )
        except (DomainError, DataError) as refused:
            fault = refusal_text(refused) if isinstance(refused, DomainError) else gettext(NOT_COMPARABLE)
            found = None
        shown = (found or [])[:LISTED]
        customers = Customer.objects.for_tenant(segment.tenant_id).in_bulk([one for one, _ in shown])
        entities = LegalEntity.objects.for_tenant(segment.tenant_id).in_bulk([one for _, one in shown])
        following = f"{shown[-1][0]}-{shown[-1][1]}" if found and len(found) > LISTED else ""
        context = {
            **self.admin_site.each_context(request),
            "title": COUNTED[which],
            "subtitle": str(segment),
            "opts": self.opts,
            "segment": segment,
            "q": form.text,
            "fault": fault,
            "in_time": found is not None,
            "members": [(customers.get(one), entities.get(other)) for one, other in shown],
            "following": counted_address(segment, form, which, term=term, after=following)
            if following
            else "",
            "media": self.media,
        }
        return TemplateResponse(request, "admin/segments/rule_counted.html", context)

    # --- why ---

    def why_page(self, request: HttpRequest, key: int) -> HttpResponse:
        """Say of a customer whether they belong, and what each condition of the rule says of them."""
        segment = self._segment_of_rule(request, key)
        if not sees_customers(request):
            raise PermissionDenied
        number = request.GET.get("customer", "").strip()
        company = request.GET.get("company", "").strip()
        explanation, fault = None, ""
        if number:
            try:
                explanation = explain_rule(
                    tenant_id=segment.tenant_id,
                    segment_id=segment.external_id,
                    customer_id=number,
                    legal_entity_id=company or None,
                    at=timezone.now(),
                )
            except DomainError as refused:
                fault = refusal_text(refused)
        customers = visible_rows(Customer, request, self).filter(tenant=segment.tenant_id)
        companies = visible_rows(LegalEntity, request, self).filter(tenant=segment.tenant_id)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Why does a customer belong, or not?"),
            "subtitle": str(segment),
            "opts": self.opts,
            "segment": segment,
            "number": number,
            "company": company,
            "customer": customers.filter(external_id=number).first() if explanation else None,
            "entity": companies.filter(external_id=company).first() if explanation and company else None,
            "explanation": explanation,
            "fault": fault,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/segments/rule_why.html", context)
