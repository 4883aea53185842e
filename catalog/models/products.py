from django.contrib.postgres.indexes import GinIndex
from django.db import models

from catalog.models.names import SEARCHED_FIELDS
from core.search import search_words
from core.tenancy.documents import TenantDocument
from core.tenancy.identifiers import UNREACHABLE_IDS


class Product(TenantDocument):
    """Something a shop sells. `name` and `description` map languages to texts."""

    reserved_ids = UNREACHABLE_IDS | {"bulk", "search"}

    code = models.CharField(max_length=200, null=True, blank=True)
    name = models.JSONField(default=dict)
    description = models.JSONField(default=dict, blank=True)
    is_published = models.BooleanField("published", default=False)
    product_type = models.CharField(max_length=40, default="BASIC", editable=False)
    details = models.JSONField(
        default=dict, blank=True, help_text="Tax classes, related items and other attributes kept unchanged."
    )

    class Meta:
        ordering = ("id",)
        indexes = [GinIndex(search_words(*SEARCHED_FIELDS), name="product_words")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="product_id_unique"),
            models.UniqueConstraint(fields=["tenant", "code"], name="product_code_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="product_tenant_key"),
        ]

    def __str__(self) -> str:
        return self.titled(self.name)
