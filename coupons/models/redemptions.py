from django.db import models
from django.db.models import Q

from core.tenancy.documents import TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey
from core.tenancy.identifiers import generate_id
from core.tenancy.models import CURRENCY
from coupons.models.coupons import amount_field


class Redemption(TenantOwned):
    """One use of a coupon, for one order of one customer, who may have acted for a legal entity.

    `customer_number` and `legal_entity_id` are ids of the wire, empty when there is none; they stay when
    the customer is deleted. An order code and an idempotency key count once for the same coupon, customer
    and legal entity.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    external_id = models.CharField("id", max_length=128, default=generate_id)
    coupon = TenantForeignKey(
        "coupons.Coupon",
        on_delete=models.RESTRICT,
        related_name="redemptions",
    )
    customer = TenantForeignKey(
        "accounts.Customer",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="redemptions",
    )
    customer_number = models.CharField(max_length=128, blank=True)
    legal_entity_id = models.CharField(max_length=128, blank=True)
    order_code = models.CharField(max_length=255, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    order_total_amount = amount_field()
    order_total_currency = models.CharField(max_length=3, validators=[CURRENCY])
    discount_amount = amount_field()
    discount_currency = models.CharField(max_length=3, validators=[CURRENCY])
    redeemed_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["coupon", "id"], name="redemptions_of_coupon"),
            models.Index(
                fields=["tenant", "redeemed_at"],
                include=["coupon", "discount_currency", "discount_amount"],
                name="redemptions_by_time",
            ),
            models.Index(
                fields=["coupon", "customer_number", "legal_entity_id"], name="redemptions_by_customer"
            ),
            models.Index(
                fields=["coupon", "legal_entity_id"],
                condition=~Q(legal_entity_id=""),
                name="redemptions_by_legal_entity",
            ),
            models.Index(
                fields=["tenant", "customer"],
                condition=Q(customer__isnull=False),
                name="redemptions_of_customer",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="redemption_id_unique"),
            models.UniqueConstraint(
                fields=["coupon", "customer_number", "legal_entity_id", "order_code"],
                condition=~Q(order_code=""),
                name="redemption_order_code_unique",
            ),
            models.UniqueConstraint(
                fields=["coupon", "customer_number", "legal_entity_id", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="redemption_idempotency_key_unique",
            ),
            models.CheckConstraint(
                condition=Q(order_total_amount__gte=0, discount_amount__gte=0),
                name="redemption_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=~Q(customer_number="") | Q(customer__isnull=True, legal_entity_id=""),
                name="redemption_without_customer_number_is_anonymous",
            ),
        ]

    def __str__(self) -> str:
        return self.external_id
