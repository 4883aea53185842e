from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from core.tenancy.models import CURRENCY
from coupons.models.coupons import amount_field


class CouponSettings(models.Model):
    """How a tenant's coupons behave. A tenant without a row has the defaults."""

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.CASCADE, primary_key=True, related_name="coupon_settings"
    )
    codes_are_case_sensitive = models.BooleanField(
        default=False, help_text="Otherwise codes are stored and compared in upper case."
    )
    referral_prefix = models.CharField(
        max_length=32,
        default="REF_",
        blank=True,
        validators=[RegexValidator(r"\A[^\s/]*\Z", "No blanks and no slash in a prefix.")],
    )
    referral_amount = amount_field(default=10)
    referral_currency = models.CharField(
        max_length=3,
        blank=True,
        validators=[CURRENCY],
        help_text="Empty means the tenant's currency.",
    )

    class Meta:
        verbose_name_plural = "coupon settings"
        constraints = [
            models.CheckConstraint(condition=Q(referral_amount__gte=0), name="referral_amount_not_negative")
        ]

    def __str__(self) -> str:
        return f"Coupon settings of {self.tenant}"
