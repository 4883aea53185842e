from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from core.tenancy.documents import TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey


class DeliveryState(models.TextChoices):
    PENDING = "PENDING", "Waiting"
    DELIVERED = "DELIVERED", "Delivered"
    FILTERED = "FILTERED", "Filtered out"
    DROPPED = "DROPPED", "Dropped"
    FAILED = "FAILED", "Failed"


class Delivery(TenantOwned):
    """An event on its way to one target.

    FILTERED: the target's filter did not match. DROPPED: the target was switched off. FAILED: given up.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    event = TenantForeignKey("events.Event", on_delete=models.CASCADE, related_name="deliveries")
    target = TenantForeignKey("events.Target", on_delete=models.CASCADE, related_name="deliveries")
    order_key = models.CharField(max_length=200)
    state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    first_attempt_at = models.DateTimeField(null=True)
    last_attempt_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField("last HTTP status", null=True)
    last_answer = models.CharField(max_length=500, blank=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ("-id",)
        default_permissions = ("view", "change")
        indexes = [
            models.Index(
                fields=["target", "order_key", "event"],
                condition=Q(state="PENDING"),
                name="deliveries_waiting",
            ),
            models.Index(fields=["tenant", "state", "id"], name="deliveries_by_state"),
            models.Index(fields=["tenant", "event"], name="deliveries_of_event"),
            models.Index(fields=["target", "id"], name="deliveries_of_target"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["target", "event"], name="delivery_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.event.type}, {self.target}"


class SendingByHand(TenantOwned):
    """That somebody had deliveries sent to a target: what the history says of it.

    AGAIN: some deliveries. REPLAY: what happened from `since` on. TEST: a test event.
    """

    class Kind(models.TextChoices):
        AGAIN = "AGAIN", "Deliveries again"
        REPLAY = "REPLAY", "What happened since an instant"
        TEST = "TEST", "A test event"

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    target = TenantForeignKey("events.Target", on_delete=models.CASCADE, related_name="sendings_by_hand")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    since = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=1, help_text="How many deliveries.")
    asked_at = models.DateTimeField()

    class Meta:
        verbose_name = _("webhook sending")
        verbose_name_plural = _("webhook sendings")
        default_permissions = ()
        indexes = [models.Index(fields=["tenant", "target"], name="sendings_of_target")]

    def __str__(self) -> str:
        return f"{self.kind} {self.asked_at}"


class Lane(TenantOwned):
    """The deliveries to one target with the same order key, which are sent one after the other.

    `due_at` is when the first one is to be sent, None when none waits. A worker that sends holds the lane
    until `leased_until`; one that died is succeeded by another then.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    target = TenantForeignKey("events.Target", on_delete=models.CASCADE, related_name="lanes")
    order_key = models.CharField(max_length=200)
    due_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="lanes_due"),
            models.Index(fields=["tenant", "target"], name="lanes_of_target"),
            models.Index(
                fields=["target", "due_at", "id"],
                condition=Q(due_at__isnull=False),
                name="lanes_due_of_target",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["target", "order_key"], name="lane_unique"),
        ]

    def __str__(self) -> str:
        return self.order_key


class MonthlyCount(TenantOwned):
    """How many events were delivered in a month (`2026-11`); it outlives the deliveries themselves."""

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    month = models.CharField(max_length=7)
    delivered = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["tenant", "month"], name="monthly_count_unique"),
        ]

    def __str__(self) -> str:
        return self.month
