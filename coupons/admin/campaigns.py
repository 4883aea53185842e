from collections.abc import Sequence
from typing import ClassVar

from django.contrib import admin, messages
from django.contrib.admin import AdminSite
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.db.models.options import Options
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin import TenantAdmin, adopt
from core.admin.confirmation import (
    ConfirmationNeeded,
    Fact,
    confirmation_page,
    is_confirmed,
    repeated_values,
)
from core.admin.counts import exact_count
from core.admin.declared import Fieldset, Fieldsets
from core.admin.faults import refusal_text
from core.admin.undo import message_of_number
from core.admin.undo_pages import PERMISSIONS, may
from core.errors import DomainError
from core.journal.undo.jobs import requested_by
from core.unavailability import contention_as_refusal
from coupons.admin.coupons import CouponAdmin
from coupons.admin.filters import CodesFilter
from coupons.admin.reports import report_page
from coupons.campaigns import CampaignState, states_of_campaigns
from coupons.forms.campaigns import CampaignForm
from coupons.forms.coupons import CouponForm
from coupons.models import Coupon, CouponCampaign
from coupons.models.campaigns import MADE_AT_ONCE
from coupons.operations import (
    create_campaign,
    deactivate_campaign,
    export_codes,
    generate_codes,
    queue_codes,
)

SECONDS_BETWEEN_LOOKS = 3


def without(fieldset: Fieldset, name: str) -> Fieldset:
    title, options = fieldset
    return title, {**options, "fields": [each for each in options["fields"] if each != name]}


class CampaignTermsAdmin(CouponAdmin):
    """The form of a new campaign, which is that of a coupon; it saves a campaign."""

    form = CampaignForm
    fieldsets: ClassVar[Fieldsets] = (
        (None, {"fields": ("name", "code_count", "code_prefix", "description")}),
        *(without(fieldset, "max_redemptions") for fieldset in CouponAdmin.fieldsets[1:]),
    )

    def __init__(self, admin_site: AdminSite) -> None:
        super().__init__(Coupon, admin_site)
        self.opts: Options = CouponCampaign._meta  # whose permissions it takes
        self.campaign: CouponCampaign | None = None

    def save_model(self, request: HttpRequest, obj: Coupon, form: CouponForm, change: bool) -> None:
        assert isinstance(form, CampaignForm)
        at = timezone.now()
        body = form.campaign
        campaign = create_campaign(tenant_id=obj.tenant_id, body=body, at=at)
        if body.count <= MADE_AT_ONCE:
            generate_codes(tenant_id=obj.tenant_id, campaign_id=campaign.external_id, at=at)
        else:
            queue_codes(campaign, requested_by=requested_by(), at=at)
        self.campaign = campaign
        adopt(obj, Coupon.objects.get(pk=campaign.terms_id))

    def response_add(
        self, request: HttpRequest, obj: Model, post_url_continue: str | None = None
    ) -> HttpResponse:
        assert self.campaign is not None
        number = self.campaign.code_count
        is_made = number <= MADE_AT_ONCE
        text = (
            ngettext("Made {number} code.", "Made {number} codes.", number)
            if is_made
            else gettext("{number} codes are being made. This page shows how far it is.")
        )
        if is_made and all(may(request, PERMISSIONS["created"], model) for model in (CouponCampaign, Coupon)):
            message_of_number(request, text, number)
        else:
            self.message_user(request, text.format(number=exact_count(number)), messages.SUCCESS)
        return HttpResponseRedirect(page_of(self.campaign))


def page_of(campaign: CouponCampaign) -> str:
    return reverse("admin:coupons_couponcampaign_change", args=[campaign.pk])


def codes_page(campaigns: Sequence[CouponCampaign], state: str = "") -> str:
    """Return the list of the campaigns' codes; with a state only of those of which it is true."""
    chosen = CodesFilter.value_of([campaign.pk for campaign in campaigns], state)
    page = reverse("admin:coupons_coupon_changelist")
    return f"{page}?{urlencode({CodesFilter.parameter_name: chosen})}"


@admin.register(CouponCampaign)
class CouponCampaignAdmin(TenantAdmin):
    """Campaigns are added, exported once and deactivated here; only the end of their terms may change."""

    explanation = _(
        "Many single-use codes with the same terms. Select campaigns to deactivate all their codes."
    )
    empty_state = _(
        "Add one here; the API (coupon-campaigns) and the command generate_coupons make them too."
    )
    chooses_tenant = False
    list_display = ("name", "external_id", "state", "codes", "redeemed", "open_codes", "over", "created_at")
    list_select_related = ("terms",)
    search_fields = ("external_id__startswith", "terms__name__holds")
    search_help_text = _("The beginning of an id or a part of a name.")
    ordering = ("-id",)
    actions = ("deactivate",)
    fieldsets = (
        (None, {"fields": ("external_id", "name", "prefix", "state", "created_at")}),
        (
            _("Codes"),
            {"fields": ("progress", "redeemed", "open_codes", "over", "exported_at", "deactivated_at")},
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return super().has_change_permission(request, obj) and obj is None  # for the action of the list

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def may_change(self, request: HttpRequest) -> bool:
        """Say whether the user may export and deactivate codes."""
        return self.has_change_permission(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/export/", view(self.export_view), name="coupons_couponcampaign_export"),
            path(
                "<int:pk>/deactivate/", view(self.deactivate_view), name="coupons_couponcampaign_deactivate"
            ),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Show the form of a coupon's terms, and make a campaign of it."""
        context = {"title": gettext("Add campaign"), **(extra_context or {})}
        return CampaignTermsAdmin(self.admin_site).add_view(request, form_url, context)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Count the codes of all campaigns of the page in one statement."""
        changelist = super().get_changelist_instance(request)
        found = states_of_campaigns([row.pk for row in changelist.result_list], at=timezone.now())
        for row in changelist.result_list:
            row.counts = found[row.pk]
        return changelist

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> CouponCampaign | None:
        campaign = super().get_object(request, object_id, from_field)
        if not isinstance(campaign, CouponCampaign):
            return None
        campaign.counts = states_of_campaigns([campaign.pk], at=timezone.now())[campaign.pk]
        return campaign

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        """Show the campaign; the page is loaded again while codes are being made."""
        response = super().change_view(request, object_id, form_url, extra_context)
        campaign = (getattr(response, "context_data", None) or {}).get("original")
        if campaign is not None and not is_complete(campaign):
            response["Refresh"] = str(SECONDS_BETWEEN_LOOKS)
        return response

    def related_links(self, request: HttpRequest, obj: CouponCampaign) -> list[dict[str, object]]:
        user = request.user
        links: list[dict[str, object]] = []
        if user.has_perm("coupons.view_redemption"):
            links.append({"url": report_page(campaign=obj), "text": _("Report"), "note": ""})
        if self.may_change(request) and is_complete(obj) and obj.exported_at is None:
            page = reverse("admin:coupons_couponcampaign_export", args=[obj.pk])
            note = gettext("once, as CSV")
            links.append({"url": page, "text": _("Export the codes"), "note": note, "posts": True})
        if self.may_change(request) and obj.deactivated_at is None:
            page = reverse("admin:coupons_couponcampaign_deactivate", args=[obj.pk])
            links.append({"url": page, "text": _("Deactivate all codes"), "note": ""})
        return links

    # --- columns ---

    @admin.display(description=_("Name"))
    def name(self, campaign: CouponCampaign) -> str:
        return campaign.terms.name

    @admin.display(description=_("State"))
    def state(self, campaign: CouponCampaign) -> SafeString:
        if campaign.deactivated_at:
            text, style = gettext("Deactivated"), "off"
        elif not is_complete(campaign):
            text, style = gettext("Codes are being made"), "waiting"
        elif counts_of(campaign).open:
            text, style = gettext("Can be redeemed"), "on"
        else:
            text, style = gettext("Nothing left"), "over"
        return format_html('<span class="status status-{}">{}</span>', style, text)

    @admin.display(description=_("Codes"))
    def codes(self, campaign: CouponCampaign) -> SafeString:
        made, wanted = counts_of(campaign).generated, campaign.code_count
        text = gettext("{made} of {wanted}").format(made=exact_count(made), wanted=exact_count(wanted))
        return format_html('<a href="{}">{}</a>', codes_page([campaign]), text)

    @admin.display(description=_("Codes"))
    def progress(self, campaign: CouponCampaign) -> object:
        """How many codes there are, with a bar while they are being made."""
        if is_complete(campaign):
            return self.codes(campaign)
        return format_html(
            '<progress value="{}" max="{}" aria-label="{}"></progress> {}',
            counts_of(campaign).generated,
            campaign.code_count,
            gettext("Codes are being made"),
            self.codes(campaign),
        )

    @admin.display(description=_("Redeemed"))
    def redeemed(self, campaign: CouponCampaign) -> SafeString:
        number = exact_count(counts_of(campaign).redeemed)
        return format_html('<a href="{}">{}</a>', codes_page([campaign], "redeemed"), number)

    @admin.display(description=_("Open"))
    def open_codes(self, campaign: CouponCampaign) -> SafeString:
        number = exact_count(counts_of(campaign).open)
        return format_html('<a href="{}">{}</a>', codes_page([campaign], "open"), number)

    @admin.display(description=_("Over"))
    def over(self, campaign: CouponCampaign) -> SafeString:
        number = exact_count(counts_of(campaign).over)
        return format_html('<a href="{}">{}</a>', codes_page([campaign], "over"), number)

    # --- export and deactivation ---

    def _campaign(self, request: HttpRequest, pk: int) -> CouponCampaign:
        if not self.may_change(request):
            raise PermissionDenied
        campaign: CouponCampaign | None = self.get_object(request, str(pk)) if pk < 2**63 else None
        if campaign is None:
            raise Http404("There is no such campaign.")
        return campaign

    def export_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Hand out the codes as CSV, once."""
        campaign = self._campaign(request, pk)
        if request.method != "POST":
            return HttpResponseRedirect(page_of(campaign))
        try:
            with contention_as_refusal():
                codes = export_codes(
                    tenant_id=campaign.tenant_id, campaign_id=campaign.external_id, at=timezone.now()
                )
        except DomainError as refused:
            self.message_user(request, refusal_text(refused), messages.ERROR)
            return HttpResponseRedirect(page_of(campaign))
        response = HttpResponse("".join(f"{code}\n" for code in ("code", *codes)), content_type="text/csv")
        response["Content-Disposition"] = f'attachment; filename="{campaign.external_id}.csv"'
        response["Cache-Control"] = "no-store"
        return response

    def deactivate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Say what the deactivation of all codes does, and do it once that is confirmed."""
        campaign = self._campaign(request, pk)
        answer = self._deactivate(request, [campaign], back=page_of(campaign))
        return answer or HttpResponseRedirect(page_of(campaign))

    @admin.action(description=_("Deactivate all codes of the selected campaigns"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        campaigns = list(queryset.order_by("pk"))
        return self._deactivate(request, campaigns, back=request.get_full_path())

    def _deactivate(
        self, request: HttpRequest, campaigns: list[CouponCampaign], *, back: str
    ) -> HttpResponse | None:
        at = timezone.now()
        is_single = len(campaigns) == 1
        if not is_confirmed(request):
            found = states_of_campaigns([campaign.pk for campaign in campaigns], at=at)
            lost, used = sum(one.open for one in found.values()), sum(one.redeemed for one in found.values())
            facts = [
                Fact(
                    exact_count(lost),
                    ngettext("code can be redeemed no more", "codes can be redeemed no more", lost),
                    codes_page(campaigns, "open"),
                    is_loss=bool(lost),
                ),
                Fact(
                    exact_count(used),
                    ngettext("redeemed code stays so", "redeemed codes stay so", used),
                    codes_page(campaigns, "redeemed"),
                ),
            ]
            named = (
                str(campaigns[0].terms.name)
                if is_single
                else gettext("{number} campaigns").format(number=exact_count(len(campaigns)))
            )
            needed = ConfirmationNeeded(
                gettext("Deactivate all codes of {named}?").format(named=named),
                facts,
                button=gettext("Deactivate"),
            )
            return confirmation_page(
                self,
                request,
                needed,
                template="admin/confirm_rows.html",
                repeated=list(repeated_values(request)),
                object=campaigns[0] if is_single else None,
                back=back,
            )
        with transaction.atomic():
            for campaign in campaigns:
                deactivate_campaign(tenant_id=campaign.tenant_id, campaign_id=campaign.external_id, at=at)
        text = ngettext(
            "Deactivated the codes of {number} campaign.",
            "Deactivated the codes of {number} campaigns.",
            len(campaigns),
        )
        message_of_number(request, text, len(campaigns), back=back)
        return None


def counts_of(campaign: CouponCampaign) -> CampaignState:
    return campaign.counts  # see get_changelist_instance


def is_complete(campaign: CouponCampaign) -> bool:
    return counts_of(campaign).generated >= campaign.code_count
