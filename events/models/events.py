from django.db import models
from django.db.models import Q

from core.tenancy.documents import TenantOwned
from core.tenancy.identifiers import generate_id


class Event(TenantOwned):
    """Something that happened, of a type that the tenant is subscribed to.

    The keys of one tenant's events grow in the order of commits: one reader of the journal writes them.
    `tx`, `journal_id` and `part` say which row of the journal it comes from, and which of several events of
    that row it is; `origin` says the same of events that come from elsewhere, such as the boundary of a
    window. Each makes it unique in the tenant, so that no event is made twice. Events with the same
    `order_key` reach a target in their order. `customer_number` names the customer that the payload is about,
    if any, which an erasure has to find. A test event is for one target only and not in the feed.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    external_id = models.CharField("id", max_length=36, default=generate_id)
    type = models.CharField(max_length=100)
    order_key = models.CharField(max_length=200)
    payload = models.JSONField()
    customer_number = models.CharField(max_length=128, blank=True)
    occurred_at = models.DateTimeField()
    tx = models.BigIntegerField(null=True)
    journal_id = models.BigIntegerField(null=True)
    part = models.IntegerField(default=0)
    origin = models.CharField(max_length=300, blank=True)
    is_test = models.BooleanField(default=False)

    class Meta:
        ordering = ("id",)
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["tenant", "occurred_at"], name="events_by_time"),
            models.Index(fields=["occurred_at"], name="events_to_purge"),
            models.Index(
                fields=["tenant", "customer_number"],
                condition=~Q(customer_number=""),
                name="events_of_customer",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="event_tenant_key"),
            models.UniqueConstraint(fields=["tenant", "external_id"], name="event_id_unique"),
            models.UniqueConstraint(
                fields=["tenant", "tx", "journal_id", "part"],
                condition=Q(tx__isnull=False),
                name="event_of_journal_once",
            ),
            models.UniqueConstraint(
                fields=["tenant", "origin"], condition=~Q(origin=""), name="event_of_origin_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.external_id}"


class FeedPosition(models.Model):
    """How far the journal has been read for a tenant, and until when windows have been looked at.

    There is one while the tenant is subscribed to anything. `began_in` is the snapshot (PostgreSQL's
    pg_snapshot) of its making: what was committed before that is not in the feed. Behind an event with a
    lower key than `kept_from`, events are missing: they were deleted, or the feed was not kept.
    """

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tx = models.BigIntegerField(default=0)
    journal_id = models.BigIntegerField(default=0)
    began_in = models.TextField(default="")
    began_at = models.DateTimeField(null=True)
    kept_from = models.BigIntegerField(default=0)
    windows_until = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.tx}/{self.journal_id}"
