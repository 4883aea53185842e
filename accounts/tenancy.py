"""What it means for a row to belong to a tenant."""

from typing import Any

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

    def titled(self, translations: object) -> str:
        """Return a localized name with the id, for people.

        The name is in the tenant's default language when the tenant has been loaded along; it is not worth a
        statement of its own.
        """
        texts = translations if isinstance(translations, dict) else {}
        tenant: Any = self._state.fields_cache.get("tenant")
        name = texts.get(tenant.default_language) if tenant else None
        return f"{name or next(iter(texts.values()), '')} ({self.external_id})".strip()
