from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core.admin import TenantAdmin, adopt
from core.admin.tenants import staff_tenant_id
from coupons.models import CouponSettings
from coupons.operations import change_settings


@admin.register(CouponSettings)
class CouponSettingsAdmin(TenantAdmin):
    explanation = _(
        "Whether the case of codes matters, how many a cart takes, and what referral coupons give."
    )
    empty_state = _("The defaults apply until you add settings.")
    list_display = ("title", "codes_are_case_sensitive", "referral_prefix", "shown_referral_amount")
    fields = (
        "codes_are_case_sensitive",
        "max_coupons_per_cart",
        "referral_prefix",
        "referral_amount",
        "referral_currency",
    )

    @admin.display(description=_("Coupon settings"))
    def title(self, settings: CouponSettings) -> str:
        return str(settings)

    def has_add_permission(self, request: HttpRequest) -> bool:
        tenant_id = staff_tenant_id(request)
        stored = CouponSettings.objects.filter(tenant=tenant_id).exists() if tenant_id else False
        return super().has_add_permission(request) and not stored

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: CouponSettings, form: object, change: bool) -> None:
        adopt(
            obj,
            change_settings(
                tenant_id=obj.tenant_id,
                codes_are_case_sensitive=obj.codes_are_case_sensitive,
                referral_prefix=obj.referral_prefix,
                referral_amount=obj.referral_amount,
                referral_currency=obj.referral_currency,
                max_coupons_per_cart=obj.max_coupons_per_cart,
            ),
        )
