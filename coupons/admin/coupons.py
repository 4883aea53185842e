from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.db import transaction
from django.db.models import F, Model, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin import TenantAdmin, adopt, window_text
from core.admin.counts import exact_count
from core.admin.declared import Actions, Fieldset, Fieldsets, Filters, Names
from core.admin.faults import fault_text
from core.admin.filters import days_parameter, visible_rows
from core.admin.keys import key_of
from coupons.admin.amounts import money_text, percentage_text
from coupons.admin.filters import (
    CodesFilter,
    IssuedFilter,
    OfSegmentsFilter,
    RestrictionFilter,
    StateFilter,
)
from coupons.admin.refusal import RefusalPage
from coupons.diagnostics import CouponState, states_of
from coupons.eligibility_queries import normalise_code
from coupons.forms.coupons import FORM_FIELDS, CouponForm
from coupons.models import Coupon, CouponCampaign, DiscountType
from coupons.operations import create_coupon, delete_coupon, find_coupon, revise_coupon
from coupons.usage import usage_of
from segments.effects.addresses import EFFECT
from segments.models import Segment
from segments.tallies import NOTHING, held_by

STATES = {
    "VALID": (_("Can be redeemed"), "on"),
    "INACTIVE": (_("Starts later"), "waiting"),
    "EXPIRED": (_("Over"), "over"),
    "USED": (_("All uses spent"), "over"),
}
MOST_SEGMENTS_SHOWN = 50
RECORD = ("uses", "version", "created_at", "modified_at")


def redemptions_page(coupon: Coupon) -> str:
    """Return the address of the list of the coupon's redemptions."""
    return reverse("admin:coupons_redemption_changelist") + f"?coupon__id__exact={coupon.pk}"


def names_missing(coupon: Coupon) -> bool:
    """Say whether the coupon is restricted to a segment or category that was deleted."""
    return (
        coupon.segment_restrictions.filter(segment__isnull=True).exists()
        or coupon.category_restrictions.filter(category__isnull=True).exists()
    )


def begins_code(text: str) -> Q:
    return Q(code__startswith=text) | Q(code__startswith=normalise_code(text, case_sensitive=False))


def is_code(text: str) -> Q:
    return Q(code__in=[text, normalise_code(text, case_sensitive=False)])


def warnings_about(coupon: Coupon, *, at: datetime) -> list[str]:
    """Return each reason why no customer can redeem the coupon, for any order."""
    if coupon.is_deleted:
        return [gettext("It is deleted.")]
    state = states_of([coupon.pk], at=at)[coupon.pk]
    messages = [fault_text(text) for text in state.messages]
    if state.status == "EXPIRED":
        return [gettext("Its window is over."), *messages]
    if state.status == "USED" and coupon.max_redemptions:
        return [gettext("All its uses are spent."), *messages]
    return messages


OF_TERMS = (StateFilter, RestrictionFilter, "discount_type", "is_referral")


def is_list_by(request: HttpRequest, parameter: str) -> bool:
    match = request.resolver_match
    is_list = match is not None and match.url_name == "coupons_coupon_changelist"
    return is_list and parameter in request.GET


def lists_codes(request: HttpRequest) -> bool:
    """Say whether the list of coupons is asked for the codes of campaigns as well."""
    return is_list_by(request, CodesFilter.parameter_name)


def lists_terms(request: HttpRequest) -> bool:
    """Say whether the list of coupons is asked for what an effect counts, campaigns by their terms."""
    return is_list_by(request, EFFECT) and not lists_codes(request)


def terms_of(coupon: Coupon) -> Coupon:
    """Return the row that holds the coupon's terms, which codes of a campaign share."""
    return coupon if coupon.terms is None else coupon.terms


@admin.register(Coupon)
class CouponAdmin(RefusalPage, TenantAdmin):
    form = CouponForm
    found_at = 3
    explanation = _("Codes that give a discount: for which customers and products, how often and how long.")
    empty_state = _("Add one; leave the code empty to have one generated.")
    error_fields = FORM_FIELDS
    sortable_by = ("title",)  # the orders that an index serves
    list_display = ("title", "state", "discount", "restriction", "window", "uses")
    list_filter = (
        CodesFilter,
        IssuedFilter,
        StateFilter,
        RestrictionFilter,
        OfSegmentsFilter,
        "discount_type",
        "is_referral",
    )
    ordering = ("-id",)
    search_fields = ("code",)
    search_help_text = _("The beginning of a code or a part of a name.")
    readonly_fields = RECORD
    fieldsets: ClassVar[Fieldsets] = (
        (None, {"fields": ("name", "code", "description")}),
        (
            _("What it gives"),
            {
                "fields": (
                    "discount_type",
                    "discount_percentage",
                    "discount_amount",
                    "discount_currency",
                    "discount_calculation_type",
                )
            },
        ),
        (
            _("Customers and products"),
            {
                "fields": (
                    "is_segment_restricted",
                    "segments",
                    "is_category_restricted",
                    "included_categories",
                    "excluded_categories",
                    "valid_for",
                    "allows_anonymous",
                    "is_listed",
                    "forgets_missing",
                )
            },
        ),
        (
            _("When and how often"),
            {
                "fields": (
                    "valid_from",
                    "valid_to",
                    "max_redemptions",
                    "max_redemptions_per_customer",
                    "min_order_amount",
                    "min_order_currency",
                )
            },
        ),
        (_("Own attributes"), {"fields": ("issued_to", "mixins", "mixin_schemas"), "classes": ("collapse",)}),
        (_("Record"), {"fields": RECORD, "classes": ("collapse",)}),
    )

    class Media:
        js = ("coupons/coupon_form.js",)
        css = {"all": ("coupons/coupons.css",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Leave out the codes of campaigns, but in a list of codes: their page is the campaign's."""
        rows = super().get_queryset(request)
        if lists_terms(request):
            return rows.filter(Q(terms__isnull=True) | Q(terms=F("pk"))).select_related("terms")
        if not lists_codes(request):
            return rows.filter(terms__isnull=True)
        # what holds the terms of a campaign is no code
        return rows.exclude(terms=F("pk")).select_related("terms")

    def get_actions(self, request: HttpRequest, action_location: object = None) -> Actions:
        lists_others = lists_codes(request) or lists_terms(request)
        return {} if lists_others else super().get_actions(request, action_location)

    def get_list_filter(self, request: HttpRequest) -> Filters:
        """Offer for codes only the filters that know where their terms are."""
        found = super().get_list_filter(request)
        if not lists_codes(request):
            return found
        return [
            each for each in found if each not in OF_TERMS and getattr(each, "parameter_name", "") != EFFECT
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Find the beginning of a code, which may contain blanks, or words of codes and names.

        Of a campaign's code that nobody has used only the whole is found: it is handed out once.
        """
        term = normalise_code(search_term, case_sensitive=True)
        words = Q()
        for word in term.split()[:5]:
            words &= begins_code(word) | Q(name__holds=word)
        if lists_codes(request) and term:
            is_open = Q(terms__isnull=False, redemption_count=0)
            named = Q()
            for word in term.split()[:5]:
                named &= Q(terms__name__holds=word)
            return queryset.filter(Q(begins_code(term) | words) & ~is_open | named | is_code(term)), False
        return (queryset.filter(begins_code(term) | words) if term else queryset), False

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """Begin with the segment that the address names, for a coupon that only its members may use."""
        initial: dict[str, object] = dict(super().get_changeform_initial_data(request))
        key = key_of(request.GET.get("segment", ""))
        segment = visible_rows(Segment, request, self).filter(pk=key).first() if key is not None else None
        if segment is not None:
            initial |= {"segments": [segment.pk], "is_segment_restricted": True}
        return initial

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: object
    ) -> type[ModelForm]:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.admin_site = self.admin_site
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: object = None) -> Names:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, "code"] if obj is not None else fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Fieldsets:
        if obj is None:
            left_out = {*RECORD, "forgets_missing"}
        elif not self.has_change_permission(request, obj):
            left_out = {"segments", "included_categories", "excluded_categories", "forgets_missing"}
        else:
            left_out = set() if names_missing(obj) else {"forgets_missing"}
        kept: list[Fieldset] = [
            (title, {**options, "fields": [name for name in options["fields"] if name not in left_out]})
            for title, options in super().get_fieldsets(request, obj)
        ]
        return [(title, options) for title, options in kept if options["fields"]]

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return super().has_change_permission(request, obj) and not (
            isinstance(obj, Coupon) and obj.is_deleted
        )

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return super().has_delete_permission(request, obj) and not (
            isinstance(obj, Coupon) and obj.is_deleted
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Read the state of all coupons of the page in one statement."""
        changelist = super().get_changelist_instance(request)
        found = states_of([coupon.pk for coupon in changelist.result_list], at=timezone.now())
        for coupon in changelist.result_list:
            coupon.state = found[coupon.pk]
        return changelist

    # --- columns ---

    @admin.display(description=_("Coupon"), ordering="code")
    def title(self, coupon: Coupon) -> SafeString:
        code = gettext("Campaign") if coupon.terms_id == coupon.pk else coupon.shown_code
        return format_html("{}<br><span class='quiet'>{}</span>", code, terms_of(coupon).name)

    @admin.display(description=_("State"))
    def state(self, coupon: Coupon) -> SafeString:
        if coupon.is_deleted:
            text: str | Promise = gettext("Deleted")
            style, reasons = "off", ""
        else:
            found: CouponState = coupon.state  # type: ignore[attr-defined]  # see get_changelist_instance
            text, style = STATES[found.status]
            reasons = " ".join(map(fault_text, found.messages))
            if reasons and found.status in ("VALID", "INACTIVE"):
                has_dead_segments = {"segments_deleted", "segments_over"} & set(found.diagnostics)
                text = gettext("No live segment") if has_dead_segments else gettext("Nobody can redeem it")
                style = "broken"
        return format_html('<span class="status status-{}" title="{}">{}</span>', style, reasons, text)

    @admin.display(description=_("Gives"))
    def discount(self, coupon: Coupon) -> str:
        coupon = terms_of(coupon)
        match coupon.discount_type:
            case DiscountType.PERCENT if coupon.discount_percentage is not None:
                return percentage_text(coupon.discount_percentage)
            case DiscountType.ABSOLUTE if coupon.discount_amount is not None:
                return money_text(coupon.discount_amount, coupon.discount_currency)
        return gettext("Free shipping")

    @admin.display(description=_("For"))
    def restriction(self, coupon: Coupon) -> str:
        coupon = terms_of(coupon)
        if coupon.is_segment_restricted:
            return gettext("Segments")
        parts = [gettext("categories")] if coupon.is_category_restricted else []
        parts += (
            [
                ngettext("{number} customer", "{number} customers", len(coupon.valid_for)).format(
                    number=len(coupon.valid_for)
                )
            ]
            if coupon.valid_for
            else []
        )
        parts += [gettext("anonymous too")] if coupon.allows_anonymous else []
        return ", ".join(parts).capitalize() or gettext("All customers")

    @admin.display(description=_("Valid"), ordering="valid_to")
    def window(self, coupon: Coupon) -> SafeString:
        return window_text(terms_of(coupon))

    @admin.display(description=_("Uses"), ordering="redemption_count")
    def uses(self, coupon: Coupon) -> SafeString | str:
        if coupon.terms_id == coupon.pk:  # what is used are the codes, which the campaign's page counts
            return ""
        most = terms_of(coupon).max_redemptions
        limit = "" if most is None else " " + gettext("of {limit}").format(limit=exact_count(most))
        return format_html(
            '<a href="{}">{}{}</a>', redemptions_page(coupon), exact_count(coupon.redemption_count), limit
        )

    # --- the page of one coupon ---

    def related_links(self, request: HttpRequest, obj: Coupon) -> list[dict[str, object]]:
        return [
            {
                "url": redemptions_page(obj),
                "text": _("Redemptions"),
                "note": exact_count(obj.redemption_count),
            },
            {
                "url": reverse("admin:coupons_reservation_changelist") + f"?coupon__id__exact={obj.pk}",
                "text": _("Reservations"),
                "note": exact_count(obj.reservations.live_at(timezone.now()).count()),
            },
            {
                "url": reverse("admin:coupons_coupon_refusal", args=(obj.pk,)),
                "text": _("Why would it be refused?"),
                "note": "",
            },
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        coupon = self.get_object(request, unquote(object_id))
        if coupon is None and (key := key_of(unquote(object_id))) is not None:
            campaign = visible_rows(CouponCampaign, request, self).filter(terms__codes=key).first()
            if campaign is not None:  # whose codes, and what holds their terms, have no page of their own
                page = reverse("admin:coupons_couponcampaign_change", args=[campaign.pk])
                return HttpResponseRedirect(page)
        if isinstance(coupon, Coupon):
            now = timezone.now()
            usage = usage_of(coupon, until=now)
            days = days_parameter(usage.days[0].day, usage.days[-1].day)
            extra_context = {
                **(extra_context or {}),
                "usage": usage,
                "redemptions": redemptions_page(coupon),
                "recent_redemptions": f"{redemptions_page(coupon)}&days={days}",
                "warnings": warnings_about(coupon, at=now),
                "redeemers": self.redeemers(request, coupon),
                "restriction": self.restriction(coupon),
            }
            user = request.user
            if user.has_perm("accounts.view_customer"):
                extra_context["asked_customer"] = self.refusal_form(request, coupon)["customer"]
        return super().change_view(request, object_id, form_url, extra_context)

    def redeemers(self, request: HttpRequest, coupon: Coupon) -> list[dict[str, object]]:
        """Return the segments whose members could redeem the coupon, with how many they have."""
        named = coupon.segment_restrictions.filter(segment__isnull=False).values("segment")
        rows = visible_rows(Segment, request, self).filter(pk__in=named)
        segments = list(rows.select_related("tenant").order_by("pk")[:MOST_SEGMENTS_SHOWN])
        held = held_by(coupon.tenant_id, [segment.pk for segment in segments])
        user = request.user
        page = reverse("admin:segments_customerassignment_changelist")
        is_linked = user.has_perm("segments.view_customerassignment")
        return [
            {
                "segment": segment,
                "members": held.get(segment.pk, NOTHING).members,
                "url": f"{page}?segment__id__exact={segment.pk}" if is_linked else "",
            }
            for segment in segments
        ]

    # --- writes ---

    def save_model(self, request: HttpRequest, obj: Coupon, form: CouponForm, change: bool) -> None:
        at = timezone.now()
        if change:
            stored = revise_coupon(
                tenant_id=obj.tenant_id, code=obj.code, revise=lambda stored: form.body, at=at
            )
        else:
            stored = create_coupon(tenant_id=obj.tenant_id, body=form.body, at=at)
        adopt(obj, find_coupon(obj.tenant_id, stored.code))
        for warning in warnings_about(stored, at=at):
            self.message_user(request, f"{stored.code}: {warning}", messages.WARNING)

    def get_deleted_objects(self, objs: QuerySet | Sequence[Model], request: HttpRequest) -> Any:
        """Name only the coupons: they are kept as deleted, and their redemptions stay."""
        names, counts, lacking, _ = super().get_deleted_objects(objs, request)
        return names, dict(list(counts.items())[:1]), lacking, []

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        at = timezone.now()
        live = Coupon.objects.live().filter(pk__in=queryset.order_by().values("pk"))
        for tenant_id, code in live.order_by("tenant_id", "code").values_list("tenant_id", "code"):
            delete_coupon(tenant_id=tenant_id, code=code, at=at)
