from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext

from core.tenancy.models import CURRENCY
from coupons.models.coupons import amount_field

MOST_COUPONS_PER_CART = 5
"""How many coupons one cart takes, unless the tenant's settings say otherwise."""
MOST_CODES = 20
"""How many codes of one cart are judged at all."""


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
    max_coupons_per_cart = models.PositiveSmallIntegerField(
        "coupons in one cart",
        default=MOST_COUPONS_PER_CART,
        help_text=f"How many coupons one cart takes, 1 to {MOST_CODES}.",
        validators=[MinValueValidator(1), MaxValueValidator(MOST_CODES)],
    )

    class Meta:
        verbose_name_plural = "coupon settings"
        constraints = [
            models.CheckConstraint(condition=Q(referral_amount__gte=0), name="referral_amount_not_negative"),
            models.CheckConstraint(
                condition=Q(max_coupons_per_cart__range=(1, MOST_CODES)), name="coupons_in_one_cart_bounded"
            ),
        ]

    def __str__(self) -> str:
        return gettext("Coupon settings of {tenant}").format(tenant=self.tenant)
