from django.db import models

from core.tenancy.documents import TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey


class JudgementCount(TenantOwned):
    """How often a coupon was found valid or refused on a day (UTC), and for which reasons.

    `outcome` is VALID, REFUSED or the type of a reason; a refusal counts once as REFUSED and once for each of
    its reasons. Codes of a campaign count for its terms.
    """

    VALID = "valid"
    REFUSED = "refused"

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    coupon = TenantForeignKey("coupons.Coupon", on_delete=models.CASCADE, related_name="judgements")
    day = models.DateField()
    outcome = models.CharField(max_length=40)
    count = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "day", "coupon", "outcome"], name="judgement_count_of_day"
            )
        ]
        indexes = [models.Index(fields=["tenant", "coupon"], name="judgement_counts_of_coupon")]

    def __str__(self) -> str:
        return f"{self.day}: {self.outcome} {self.count}"
