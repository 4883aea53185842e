from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext

from core.search import search_words
from core.tenancy.documents import TenantDocument
from core.tenancy.foreign_keys import TenantForeignKey
from core.tenancy.identifiers import UNREACHABLE_IDS


class LegalEntity(TenantDocument):
    """A company, or a subsidiary of one, for which customers act as contacts."""

    reserved_ids = UNREACHABLE_IDS | {"search"}

    name = models.CharField(max_length=300)
    type = models.CharField(
        max_length=10,
        choices=[("COMPANY", "Company"), ("SUBSIDIARY", "Subsidiary")],
        default="COMPANY",
    )
    parent = TenantForeignKey(
        "self", on_delete=models.RESTRICT, null=True, blank=True, related_name="subsidiaries", db_index=True
    )
    legal_info = models.JSONField(default=dict, blank=True)
    account_limit = models.JSONField(default=dict, blank=True)
    customer_groups = models.JSONField(default=list, blank=True)
    entities_addresses = models.JSONField(default=list, blank=True)
    approval_group = models.JSONField(default=list, blank=True)
    restrictions = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ("id",)
        verbose_name = "company"
        verbose_name_plural = "companies"
        indexes = [GinIndex(search_words("external_id", "name"), name="legal_entity_words")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="legal_entity_id_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="legal_entity_tenant_key"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.external_id})"


class ContactAssignment(TenantDocument):
    """A customer who may act for a legal entity."""

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    legal_entity = TenantForeignKey(
        LegalEntity,
        on_delete=models.CASCADE,
        related_name="contacts",
        db_index=True,
        verbose_name="company",
    )
    customer = TenantForeignKey(
        "accounts.Customer", on_delete=models.CASCADE, related_name="contact_assignments", db_index=True
    )
    type = models.CharField(
        max_length=9,
        choices=[
            ("PRIMARY", "Primary"),
            ("BILLING", "Billing"),
            ("LOGISTICS", "Logistics"),
            ("CONTACT", "Contact"),
        ],
        default="CONTACT",
    )
    is_primary = models.BooleanField(default=False)

    class Meta:
        ordering = ("id",)
        indexes = [models.Index(fields=["tenant", "legal_entity"], name="contact_of_legal_entity")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="contact_id_unique"),
            models.UniqueConstraint(fields=["tenant", "customer", "legal_entity"], name="contact_unique"),
        ]

    def __str__(self) -> str:
        return gettext("{customer} for {company}").format(customer=self.customer, company=self.legal_entity)
