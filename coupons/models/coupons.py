from datetime import datetime
from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from core.tenancy.documents import Document, DocumentQuerySet, TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey
from core.tenancy.models import CURRENCY
from core.windows import opens_before_it_closes, window_contains

LONGEST_CODE = 128


def amount_field(**options: Any) -> models.DecimalField:
    """An amount of money, to six decimal places; its currency is a field of its own."""
    return models.DecimalField(max_digits=20, decimal_places=6, **options)


class DiscountType(models.TextChoices):
    """What a coupon takes off: a share of the order, a fixed amount, or the shipping cost."""

    PERCENT = "PERCENT", "Percent"
    ABSOLUTE = "ABSOLUTE", "Amount"
    FREE_SHIPPING = "FREE_SHIPPING", "Free shipping"


class DiscountCalculation(models.TextChoices):
    """Which sum of the order the shop applies the discount to. The service keeps it for the shop."""

    TOTAL = "TOTAL", "Total"
    SUBTOTAL = "SUBTOTAL", "Subtotal"


class CouponQuerySet(DocumentQuerySet):
    """Reads of coupons."""

    def live(self) -> Self:
        """Leave out the deleted ones."""
        return self.filter(is_deleted=False)

    def open_at(self, at: datetime) -> Self:
        """Keep the coupons whose window contains `at`."""
        return self.filter(window_contains(at))

    def unspent(self) -> Self:
        """Keep the coupons that have uses left."""
        return self.filter(Q(max_redemptions__isnull=True) | Q(redemption_count__lt=F("max_redemptions")))


class Coupon(TenantOwned, Document):
    """A code that gives a discount, within its restrictions.

    `code` is its id on the wire, normalised by `coupons.codes`; it stays taken after the (soft) deletion.
    An absent limit (`max_redemptions`, `max_redemptions_per_customer`) means unlimited. Limits for each
    customer count apart for each legal entity that the customer acts for. `redemption_count` is the number
    of the coupon's redemptions; only operations that hold the row's lock change it, and it does not count
    as a new version. Discount fields of another kind than `discount_type` are kept and play no part.
    `is_listed` says whether customers who can use it find it among their coupons; None means: if `valid_for`
    names customers.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    code = models.CharField(max_length=LONGEST_CODE)
    name = models.CharField(max_length=300)
    description = models.TextField(blank=True)
    discount_type = models.CharField(
        max_length=13, choices=DiscountType.choices, default=DiscountType.ABSOLUTE
    )
    discount_percentage = models.DecimalField(max_digits=9, decimal_places=6, null=True, blank=True)
    discount_amount = amount_field(null=True, blank=True)
    discount_currency = models.CharField(max_length=3, null=True, blank=True, validators=[CURRENCY])
    discount_calculation_type = models.CharField(
        max_length=8, choices=DiscountCalculation.choices, default=DiscountCalculation.SUBTOTAL
    )
    allows_anonymous = models.BooleanField("anonymous use", default=False)
    max_redemptions = models.PositiveIntegerField(null=True, blank=True)
    max_redemptions_per_customer = models.PositiveIntegerField(null=True, blank=True)
    is_category_restricted = models.BooleanField("category restricted", default=False)
    is_segment_restricted = models.BooleanField("segment restricted", default=False)
    valid_for = ArrayField(models.CharField(max_length=128), default=list, blank=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField("valid until", null=True, blank=True)
    min_order_amount = amount_field(null=True, blank=True)
    min_order_currency = models.CharField(max_length=3, null=True, blank=True, validators=[CURRENCY])
    issued_to = models.CharField(max_length=128, blank=True)
    is_listed = models.BooleanField("listed for customers", null=True, blank=True)
    is_referral = models.BooleanField("referral coupon", default=False, editable=False)
    terms = TenantForeignKey(
        "self", on_delete=models.RESTRICT, null=True, blank=True, related_name="codes", editable=False
    )
    is_deleted = models.BooleanField("deleted", default=False, editable=False)
    redemption_count = models.PositiveIntegerField(default=0, editable=False)
    version = models.PositiveIntegerField(default=0, editable=False)

    objects = CouponQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["tenant", "id"], condition=Q(is_listed=True), name="coupons_listed_for_all"),
            models.Index(fields=["tenant", "created_at"], name="coupons_by_time"),
            models.Index(
                fields=["terms", "id"], condition=Q(terms__isnull=False), name="coupons_of_campaign"
            ),
            GinIndex(fields=["valid_for"], condition=~Q(valid_for=[]), name="coupons_by_customer"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "code"], name="coupon_code_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="coupon_tenant_key"),
            models.UniqueConstraint(
                fields=["tenant", "issued_to"],
                condition=Q(is_referral=True, is_deleted=False),
                name="coupon_one_referral_per_customer",
            ),
            models.CheckConstraint(
                condition=~Q(code="") & ~Q(name=""), name="coupon_code_and_name_not_empty"
            ),
            models.CheckConstraint(
                condition=Q(discount_percentage__isnull=True) | Q(discount_percentage__range=(0, 100)),
                name="coupon_percentage_from_0_to_100",
            ),
            models.CheckConstraint(
                condition=Q(discount_type="FREE_SHIPPING", is_category_restricted=False)
                | Q(discount_type="PERCENT", discount_percentage__isnull=False)
                | Q(discount_type="ABSOLUTE", discount_amount__isnull=False),
                name="coupon_discount_fits_its_type",
            ),
            models.CheckConstraint(
                # "is not null" is said, because a check that comes out as NULL would pass
                condition=Q(discount_amount__isnull=True, discount_currency__isnull=True)
                | Q(
                    discount_amount__isnull=False,
                    discount_amount__gte=0,
                    discount_currency__isnull=False,
                    discount_currency__regex=r"^[A-Z]{3}$",
                ),
                name="coupon_discount_amount_has_currency",
            ),
            models.CheckConstraint(
                condition=Q(min_order_amount__isnull=True, min_order_currency__isnull=True)
                | Q(
                    min_order_amount__isnull=False,
                    min_order_amount__gte=0,
                    min_order_currency__isnull=False,
                    min_order_currency__regex=r"^[A-Z]{3}$",
                ),
                name="coupon_min_order_amount_has_currency",
            ),
            models.CheckConstraint(
                condition=Q(allows_anonymous=False)
                | Q(max_redemptions_per_customer__isnull=True, valid_for=[], is_segment_restricted=False),
                name="coupon_anonymous_use_knows_no_customer",
            ),
            models.CheckConstraint(
                condition=Q(is_segment_restricted=False) | Q(is_category_restricted=False, valid_for=[]),
                name="coupon_segment_restriction_stands_alone",
            ),
            models.CheckConstraint(
                condition=Q(is_referral=False) | ~Q(issued_to=""),
                name="coupon_referral_is_issued_to_somebody",
            ),
            opens_before_it_closes("coupon_window_opens_before_it_closes"),
        ]

    def __str__(self) -> str:
        if self.terms_id is None:
            return f"{self.name} ({self.code})"
        return self.name if self.terms_id == self.pk else self.shown_code

    @property
    def shown_code(self) -> str:
        """The code as pages show it: of a campaign's that nobody has used only the beginning.

        Whoever has such a code may redeem it.
        """
        if self.terms_id is None or self.redemption_count:
            return self.code
        return f"{self.code[: len(self.code) // 2]}…"


class CouponSegment(TenantOwned):
    """A segment whose members may redeem a coupon, for the segment's items.

    When the segment is deleted its id stays here, so that the restriction stays visible and closed.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    coupon = TenantForeignKey(
        Coupon,
        on_delete=models.CASCADE,
        related_name="segment_restrictions",
    )
    segment = TenantForeignKey(
        "segments.Segment",
        on_delete=models.SET_NULL,
        null=True,
        related_name="coupon_restrictions",
    )
    segment_external_id = models.CharField(max_length=128)

    class Meta:
        ordering = ("id",)
        indexes = [models.Index(fields=["tenant", "segment"], name="coupons_of_segment")]
        constraints = [
            models.UniqueConstraint(
                fields=["coupon", "segment_external_id"],
                include=["segment"],
                name="coupon_segment_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coupon} for {self.segment_external_id}"


class CouponCategory(TenantOwned):
    """A category, with all below it, whose products a coupon is for, or is not for (`is_excluded`).

    When the category is deleted its id stays here: an included one then contains no product any more.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    coupon = TenantForeignKey(
        Coupon,
        on_delete=models.CASCADE,
        related_name="category_restrictions",
    )
    category = TenantForeignKey(
        "catalog.Category",
        on_delete=models.SET_NULL,
        null=True,
        related_name="coupon_restrictions",
    )
    category_external_id = models.CharField(max_length=128)
    is_excluded = models.BooleanField("excluded", default=False)

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "coupon categories"
        indexes = [models.Index(fields=["tenant", "category"], name="coupons_of_category")]
        constraints = [
            models.UniqueConstraint(
                fields=["coupon", "category_external_id"],  # included or excluded, never both
                include=["category", "is_excluded"],
                name="coupon_category_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.coupon} {'not ' if self.is_excluded else ''}for {self.category_external_id}"
