from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from core.tenancy.documents import TenantOwned
from core.tenancy.identifiers import generate_id


class WebhookConfig(TenantOwned):
    """The webhook configuration of a tenant: the provider HTTP, `http` on the wire. There is one at most.

    While it is not active, nothing is delivered to any target; events are dropped.
    """

    tenant = models.OneToOneField("tenancy.Tenant", on_delete=models.PROTECT, related_name="+")
    is_active = models.BooleanField("active", default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    modified_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "webhook configuration"

    def __str__(self) -> str:
        return gettext("Webhooks of %(tenant)s") % {"tenant": self.tenant}


class Target(TenantOwned):
    """An address that events are sent to, with how they are signed, filtered and cut.

    The one without an event type is the default: it gets the events of subscribed types that have no target
    of their own, and its address, secret and headers count for targets that have none. A secret that was
    replaced signs along until `previous_secret_until`. `excluded_fields` None means: those of the
    subscription. `failures` counts attempts in a row that did not succeed; until `resume_at` none is made.
    """

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_index=False)
    external_id = models.CharField("id", max_length=36, default=generate_id, editable=False)
    event_type = models.CharField(
        max_length=100, blank=True, help_text="Leave empty for the default target of all event types."
    )
    name = models.CharField(max_length=255, blank=True)
    destination_url = models.CharField("destination URL", max_length=2000, blank=True)
    secret_key = models.CharField(max_length=255, blank=True)
    previous_secret_key = models.CharField(max_length=255, blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    headers = models.JSONField(default=dict, blank=True)
    filter = models.CharField(max_length=1000, blank=True)
    excluded_fields = ArrayField(models.CharField(max_length=100), null=True, blank=True)
    is_active = models.BooleanField("active", default=True)
    turned_off_reason = models.CharField(max_length=300, blank=True, editable=False)
    position = models.PositiveSmallIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    resume_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    modified_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = "webhook target"
        ordering = ("position", "id")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="target_tenant_key"),
            models.UniqueConstraint(fields=["tenant", "external_id"], name="target_id_unique"),
            models.UniqueConstraint(fields=["tenant"], condition=Q(event_type=""), name="target_one_default"),
        ]

    def __str__(self) -> str:
        return self.name or self.destination_url or self.event_type or "default"
