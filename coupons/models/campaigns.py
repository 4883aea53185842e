from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.names import is_generated
from core.tenancy.documents import TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey
from core.tenancy.identifiers import generate_id
from coupons.campaigns import CampaignState

MOST_CODES_OF_CAMPAIGN = 100_000
MADE_AT_ONCE = 1_000  # codes; of more a worker makes them


class CouponCampaign(TenantOwned):
    """Many single-use codes that share their terms, which are stored once.

    `terms` is the coupon that holds them; no code reaches that one. The codes are coupons whose `terms` it
    is. They are made by and by until there are `code_count` of them.
    """

    counts: CampaignState
    """What has become of its codes, where a page has counted that."""

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    external_id = models.CharField("id", max_length=128, default=generate_id)
    terms = TenantForeignKey("coupons.Coupon", on_delete=models.RESTRICT, related_name="campaigns")
    prefix = models.CharField(
        max_length=32, blank=True, validators=[RegexValidator(r"\A[^\s/]*\Z", "No blanks and no slash.")]
    )
    code_count = models.PositiveIntegerField("codes")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    exported_at = models.DateTimeField(null=True, blank=True, editable=False)
    deactivated_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("id",)
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="coupon_campaign_id_unique"),
            models.UniqueConstraint(fields=["tenant", "terms"], name="coupon_campaign_has_own_terms"),
            models.CheckConstraint(
                condition=Q(code_count__range=(1, MOST_CODES_OF_CAMPAIGN)),
                name="coupon_campaign_code_count_bounded",
            ),
        ]

    def __str__(self) -> str:
        name = self.terms.name
        return name if is_generated(self.external_id) else f"{name} ({self.external_id})"
