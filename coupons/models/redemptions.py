"""Uses of coupons, and uses that a cart holds until it is ordered."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from core.names import is_generated
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
        is_named = not is_generated(self.external_id)
        return self.external_id if is_named else f"{self.coupon.code}, {self.redeemed_at:%Y-%m-%d}"


class ReservationQuerySet(models.QuerySet):
    """Reads of reservations."""

    def live_at(self, at: datetime) -> Self:
        """Keep those that count against limits at `at`: neither ended nor over by then."""
        return self.filter(ended_at__isnull=True, expires_at__gt=at)


class Reservation(TenantOwned):
    """A use of a coupon that is held for a customer until `expires_at`, while their order may still fail.

    It counts against every limit while it lives: until it ends (`ended_at`: confirmed, released or replaced)
    or `expires_at` has come, from that instant on, whether or not anything runs. A confirmed one names its
    redemption. Those that were reserved together for one cart have its `cart_id`. `items` are the order's
    lines, so that a reservation that is over can be judged anew; None without items.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    external_id = models.CharField("id", max_length=128, default=generate_id)
    coupon = TenantForeignKey("coupons.Coupon", on_delete=models.CASCADE, related_name="reservations")
    cart_id = models.CharField("cart", max_length=128, blank=True)
    customer_number = models.CharField(max_length=128)
    legal_entity_id = models.CharField(max_length=128, blank=True)
    order_code = models.CharField(max_length=255, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    release_key = models.CharField(max_length=255, blank=True)
    order_total_amount = amount_field()
    order_total_currency = models.CharField(max_length=3, validators=[CURRENCY])
    discount_amount = amount_field()
    discount_currency = models.CharField(max_length=3, validators=[CURRENCY])
    items = models.JSONField(null=True, blank=True)
    reserved_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    redemption_id = models.CharField("redemption", max_length=128, blank=True)

    objects = ReservationQuerySet.as_manager()

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["coupon", "id"], name="reservations_of_coupon"),
            models.Index(
                fields=["coupon", "expires_at"],
                condition=Q(ended_at__isnull=True),
                name="reservations_that_count",
            ),
            models.Index(fields=["tenant", "customer_number", "expires_at"], name="reservations_of_customer"),
            models.Index(fields=["tenant", "cart_id"], condition=~Q(cart_id=""), name="reservations_of_cart"),
            models.Index(fields=["expires_at"], name="reservations_by_end"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="reservation_id_unique"),
            models.UniqueConstraint(
                fields=["coupon", "customer_number", "legal_entity_id", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="reservation_idempotency_key_unique",
            ),
            models.CheckConstraint(condition=~Q(customer_number=""), name="reservation_is_for_a_customer"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=models.F("reserved_at")), name="reservation_ends_after_it_begins"
            ),
            models.CheckConstraint(
                condition=Q(redemption_id="") | Q(ended_at__isnull=False),
                name="reservation_confirmed_has_ended",
            ),
        ]

    def __str__(self) -> str:
        is_named = not is_generated(self.external_id)
        return self.external_id if is_named else f"{self.coupon.shown_code}, {self.reserved_at:%Y-%m-%d}"
