"""What it means for a row to belong to a tenant."""

from django.db import models

from core.documents import Document, DocumentQuerySet
from core.identifiers import generate_id


class TenantOwned(models.Model):
    """A row of one tenant. Every uniqueness and every lookup starts with the tenant."""

    tenant = models.ForeignKey("accounts.Tenant", on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True


class TenantDocument(TenantOwned, Document):
    """A tenant's document that clients know by a text id of their own choosing.

    `external_id` is the `id` on the wire: kept as given, case-sensitive, unique in the tenant. The key
    `id` stays inside, for joins.
    """

    external_id = models.CharField("id", max_length=128, default=generate_id)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.external_id
