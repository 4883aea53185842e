from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from core.tenancy.documents import TenantOwned


class SubscriptionState(models.TextChoices):
    SUBSCRIBED = "SUBSCRIBED", "Subscribed"
    UNSUBSCRIBED = "UNSUBSCRIBED", "Unsubscribed"


class Subscription(TenantOwned):
    """Whether a tenant wants events of one type, or wanted them once. No row: it never did (NONE).

    Events are made and delivered of subscribed types only. `excluded_fields` are top-level fields of the
    payload that targets without a list of their own do not get.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    event_type = models.CharField(max_length=100)
    state = models.CharField(
        max_length=12, choices=SubscriptionState.choices, default=SubscriptionState.SUBSCRIBED
    )
    excluded_fields = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    modified_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "event subscription"
        ordering = ("event_type", "id")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "event_type"], name="subscription_unique"),
        ]

    def __str__(self) -> str:
        return self.event_type
