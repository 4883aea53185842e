from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import AutocompleteFilter, TenantAdmin, shown_moment
from coupons.admin.amounts import money_text
from coupons.admin.filters import OfCampaignFilter, OfSegmentFilter, RedeemedFilter
from coupons.admin.links import coupon_link
from coupons.models import Redemption
from coupons.operations import delete_redemption


@admin.register(Redemption)
class RedemptionAdmin(TenantAdmin):
    """Redemptions are only created by the API. Deleting one gives its use back."""

    explanation = _("Uses of coupons. Delete one to give its use back.")
    empty_state = _("Nobody has redeemed a coupon yet.")
    chooses_tenant = False
    sortable_by = ()  # the orders that an index serves
    list_display = ("when", "coupon_link", "customer_link", "acting_for", "order", "total", "discount")
    list_display_links = ("when",)
    list_select_related = ("coupon",)
    list_filter = (
        RedeemedFilter,
        OfCampaignFilter,
        OfSegmentFilter,
        ("coupon", AutocompleteFilter),
        ("customer", AutocompleteFilter),
    )
    ordering = ("-id",)
    fieldsets = (
        (None, {"fields": ("external_id", "coupon_link", "when")}),
        (_("Customer"), {"fields": ("customer_link", "acting_for")}),
        (_("Order"), {"fields": ("order", "total", "discount", "idempotency_key")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @admin.display(description=_("redeemed at"), ordering="redeemed_at")
    def when(self, redemption: Redemption) -> SafeString:
        return shown_moment(redemption.redeemed_at)

    @admin.display(description=_("Coupon"), ordering="coupon")
    def coupon_link(self, redemption: Redemption) -> SafeString | str:
        return coupon_link(redemption.coupon)

    @admin.display(description=_("Customer"), ordering="customer_number")
    def customer_link(self, redemption: Redemption) -> SafeString | str:
        if redemption.customer_id is None:
            return redemption.customer_number or gettext("anonymous")
        page = reverse("admin:accounts_customer_change", args=(redemption.customer_id,))
        return format_html('<a href="{}">{}</a>', page, redemption.customer_number)

    @admin.display(description=_("Acting for"))
    def acting_for(self, redemption: Redemption) -> str:
        return self.shown(redemption.legal_entity_id)

    @admin.display(description=_("Order"))
    def order(self, redemption: Redemption) -> str:
        return self.shown(redemption.order_code)

    @admin.display(description=_("Total"), ordering="order_total_amount")
    def total(self, redemption: Redemption) -> str:
        return self.shown(money_text(redemption.order_total_amount, redemption.order_total_currency))

    @admin.display(description=_("Discount"), ordering="discount_amount")
    def discount(self, redemption: Redemption) -> str:
        return self.shown(money_text(redemption.discount_amount, redemption.discount_currency))

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        chosen = Redemption.objects.filter(pk__in=queryset.order_by().values("pk"))
        for tenant_id, code, redemption_id in chosen.order_by(
            "tenant_id", "coupon__code", "external_id"
        ).values_list("tenant_id", "coupon__code", "external_id"):
            delete_redemption(tenant_id=tenant_id, code=code, redemption_id=redemption_id)
