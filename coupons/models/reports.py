"""What is counted for reports and of refusals."""

from django.db import models

from core.tenancy.documents import TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey


class DayCount(models.Model):
    """How often something happened on a day (UTC), and the discounts of it in `amount`.

    `coupon_id` is the coupon's key, of a campaign's codes that of their terms. It is 0 for the coupons of a
    `segment`, named by its id, and, where that is empty, for all coupons together. `kind` is one of
    ReportCount.Kind or an outcome of JudgementCount.
    """

    coupon_id = models.BigIntegerField()
    segment = models.CharField(max_length=128, blank=True)
    day = models.DateField()
    kind = models.CharField(max_length=40)
    currency = models.CharField(max_length=3, blank=True)
    count = models.BigIntegerField()
    amount = models.DecimalField(max_digits=30, decimal_places=6, default=0)

    class Meta:
        abstract = True
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day}: {self.kind} {self.count}"


class ReportCount(DayCount):
    """A part of what reports sum: with ReportAddition, the rows of a key are exactly what happened.

    Rows are only added, so that writers never wait for each other here, and a background task merges them
    into one row for each key. Redemptions come here when their changes settle (coupons/report_counts.py).
    """

    class Kind(models.TextChoices):
        ISSUED = "issued"
        REDEEMED = "redeemed"

    ALL = 0

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    is_merged = models.BooleanField(default=False, db_default=False)

    class Meta(DayCount.Meta):
        indexes = [
            models.Index(fields=["tenant", "coupon_id", "segment", "day"], name="report_counts_by_day"),
            models.Index(fields=["id"], condition=models.Q(is_merged=False), name="report_counts_to_merge"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "coupon_id", "segment", "day", "kind", "currency"],
                condition=models.Q(is_merged=True),
                name="report_count_merged_once",
            )
        ]


class ReportAddition(DayCount):
    """What triggers and changes that settle add; a background task moves it to ReportCount.

    The columns mean the same, but rows for all coupons together are not written: those of coupons say it. The
    table has no index and no foreign key, as many rows are written and soon moved; ids only tell rows apart.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )


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
