from django.db import models


class PurgePosition(models.Model):
    """How far the journal has been read for purging a tenant's groups from a cache; see FeedPosition."""

    tenant = models.OneToOneField(
        "tenancy.Tenant", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tx = models.BigIntegerField(default=0)
    journal_id = models.BigIntegerField(default=0)
    began_in = models.TextField(default="")
    read_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.tx}/{self.journal_id}"
