from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from core.admin import TenantAdmin
from core.admin.counts import exact_count
from coupons.campaigns import CampaignState, states_of_campaigns
from coupons.models import CouponCampaign
from coupons.operations import deactivate_campaign


@admin.register(CouponCampaign)
class CouponCampaignAdmin(TenantAdmin):
    """Campaigns are made by the API or by `generate_coupons`, and deactivated here."""

    explanation = _(
        "Many single-use codes with the same terms. Select campaigns to deactivate all their codes."
    )
    empty_state = _("The API (coupon-campaigns) and the command generate_coupons make campaigns.")
    chooses_tenant = False
    list_display = ("external_id", "name", "state", "codes", "redeemed", "open_codes", "over", "created_at")
    list_select_related = ("terms",)
    search_fields = ("external_id__startswith", "terms__name__icontains")
    search_help_text = _("The beginning of an id or a part of a name.")
    ordering = ("-id",)
    actions = ("deactivate",)
    fieldsets = (
        (None, {"fields": ("external_id", "name", "prefix", "state", "created_at")}),
        (
            _("Codes"),
            {"fields": ("codes", "redeemed", "open_codes", "over", "exported_at", "deactivated_at")},
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return super().has_change_permission(request, obj) and obj is None  # for the action of the list

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Count the codes of all campaigns of the page in one statement."""
        changelist = super().get_changelist_instance(request)
        found = states_of_campaigns([row.pk for row in changelist.result_list], at=timezone.now())
        for row in changelist.result_list:
            row.counts = found[row.pk]
        return changelist

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        campaign = super().get_object(request, object_id, from_field)
        if campaign is not None:
            campaign.counts = states_of_campaigns([campaign.pk], at=timezone.now())[campaign.pk]
        return campaign

    @admin.display(description=_("Name"))
    def name(self, campaign: CouponCampaign) -> str:
        return campaign.terms.name

    @admin.display(description=_("State"))
    def state(self, campaign: CouponCampaign) -> SafeString:
        counts = counts_of(campaign)
        if campaign.deactivated_at:
            text, style = gettext("Deactivated"), "off"
        elif counts.generated < campaign.code_count:
            text, style = gettext("Codes are being made"), "waiting"
        else:
            text, style = (
                (gettext("Can be redeemed"), "on") if counts.open else (gettext("Nothing left"), "over")
            )
        return format_html('<span class="status status-{}">{}</span>', style, text)

    @admin.display(description=_("Codes"))
    def codes(self, campaign: CouponCampaign) -> str:
        made, wanted = counts_of(campaign).generated, campaign.code_count
        return gettext("{made} of {wanted}").format(made=exact_count(made), wanted=exact_count(wanted))

    @admin.display(description=_("Redeemed"))
    def redeemed(self, campaign: CouponCampaign) -> str:
        return exact_count(counts_of(campaign).redeemed)

    @admin.display(description=_("Open"))
    def open_codes(self, campaign: CouponCampaign) -> str:
        return exact_count(counts_of(campaign).open)

    @admin.display(description=_("Over"))
    def over(self, campaign: CouponCampaign) -> str:
        return exact_count(counts_of(campaign).over)

    @admin.action(description=_("Deactivate all codes of the selected campaigns"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet) -> None:
        at = timezone.now()
        chosen = list(queryset.order_by("pk").values_list("tenant_id", "external_id"))
        for tenant_id, campaign_id in chosen:
            deactivate_campaign(tenant_id=tenant_id, campaign_id=campaign_id, at=at)
        text = ngettext(
            "{number} campaign is deactivated.", "{number} campaigns are deactivated.", len(chosen)
        )
        self.message_user(request, text.format(number=exact_count(len(chosen))), messages.SUCCESS)


def counts_of(campaign: CouponCampaign) -> CampaignState:
    counts: CampaignState = campaign.counts  # type: ignore[attr-defined]  # see get_changelist_instance
    return counts
