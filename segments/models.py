from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from core.tenancy.documents import Document, DocumentQuerySet, TenantDocument, TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey
from core.tenancy.identifiers import UNREACHABLE_IDS
from core.windows import opens_before_it_closes, window_contains


class SegmentQuerySet(DocumentQuerySet):
    """Reads of segments."""

    def effective_at(self, at: datetime) -> Self:
        """Keep the segments that are ACTIVE and whose validity window contains `at`."""
        return self.filter(window_contains(at), status="ACTIVE")


class Segment(TenantDocument):
    """A group of customers, and of products and categories for them, on one site, within a window."""

    reserved_ids = UNREACHABLE_IDS | {"bulk", "items", "match", "search"}

    site = TenantForeignKey(
        "accounts.Site", on_delete=models.RESTRICT, related_name="segments", db_index=True
    )
    name = models.JSONField(default=dict)
    description = models.JSONField(default=dict, blank=True)
    status = models.CharField(
        max_length=8, choices=[("ACTIVE", "Active"), ("INACTIVE", "Inactive")], default="INACTIVE"
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)

    objects = SegmentQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        ordering = ("id",)
        indexes = [models.Index(fields=["tenant", "site"], name="segment_of_site")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="segment_id_unique"),
            models.UniqueConstraint(fields=["tenant", "id"], name="segment_tenant_key"),
            opens_before_it_closes("segment_window_opens_before_it_closes"),
        ]

    def __str__(self) -> str:
        return self.titled(self.name)


class Assignment(TenantOwned, Document):
    """A member or an item of a segment, from `valid_from` to `valid_to` (both included, absent ends open).

    These are the largest tables and written in bulk, so they have no index beside the ones they name: each
    reference is looked up through one that begins with it or with the tenant.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    segment = models.ForeignKey(
        Segment, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+", db_index=False
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_to = models.DateTimeField(null=True, blank=True)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        abstract = True


class CustomerAssignment(Assignment):
    """A customer of a segment, by themselves (B2C) or when acting for one legal entity (B2B)."""

    segment = TenantForeignKey(
        Segment,
        on_delete=models.CASCADE,
        related_name="customer_assignments",
    )
    customer = TenantForeignKey(
        "accounts.Customer",
        on_delete=models.CASCADE,
        related_name="segment_assignments",
    )
    legal_entity = TenantForeignKey(
        "accounts.LegalEntity",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="segment_assignments",
    )
    assignment_type = models.CharField(
        max_length=9, choices=[("MANUAL", "Manual"), ("AUTOMATIC", "Automatic")], default="MANUAL"
    )

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(
                fields=["tenant", "customer"],
                include=["segment", "legal_entity", "valid_from", "valid_to"],
                name="segments_of_customer",
            ),
            models.Index(fields=["tenant", "id"], name="members_of_tenant"),
            models.Index(fields=["segment", "id"], name="members_of_segment"),
            models.Index(
                fields=["tenant", "legal_entity"],
                condition=Q(legal_entity__isnull=False),
                name="segments_of_legal_entity",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "segment", "customer", "legal_entity"],
                nulls_distinct=False,  # without a legal entity it is the B2C assignment: still only one
                name="customer_assignment_unique",
            ),
            opens_before_it_closes("customer_assignment_window_opens_before_it_closes"),
        ]

    def __str__(self) -> str:
        return f"{self.customer} in {self.segment}"


class ItemAssignment(Assignment):
    """A product or a category belonging to a segment.

    A category means only itself, unless `includes_subcategories` says that all its descendants count too.
    """

    segment = TenantForeignKey(
        Segment,
        on_delete=models.CASCADE,
        related_name="item_assignments",
    )
    product = TenantForeignKey(
        "catalog.Product",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="segment_assignments",
    )
    category = TenantForeignKey(
        "catalog.Category",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="segment_assignments",
    )
    includes_subcategories = models.BooleanField(default=False)

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["tenant", "id"], name="items_of_tenant"),
            models.Index(
                fields=["tenant", "segment", "id"],
                include=["valid_from", "valid_to"],
                name="items_of_segment",
            ),
            models.Index(
                fields=["tenant", "segment", "id"],
                include=["category", "includes_subcategories", "valid_from", "valid_to"],
                condition=Q(category__isnull=False),
                name="categories_of_segment",
            ),
            models.Index(
                fields=["tenant", "valid_from"],
                condition=Q(valid_from__isnull=False),
                name="item_window_opens",
            ),
            models.Index(
                fields=["tenant", "valid_to"], condition=Q(valid_to__isnull=False), name="item_window_closes"
            ),
            models.Index(
                fields=["segment", "valid_from"],
                condition=Q(valid_from__isnull=False),
                name="segment_item_opens",
            ),
            models.Index(
                fields=["segment", "valid_to"],
                condition=Q(valid_to__isnull=False),
                name="segment_item_closes",
            ),
            models.Index(
                fields=["tenant", "product", "segment"],
                include=["valid_from", "valid_to"],
                condition=Q(product__isnull=False),
                name="segments_of_product",
            ),
            models.Index(
                fields=["tenant", "category", "segment"],
                condition=Q(category__isnull=False),
                name="segments_of_category",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "segment", "product", "category"],
                nulls_distinct=False,
                name="item_assignment_unique",
            ),
            models.CheckConstraint(
                condition=Q(product__isnull=False, category__isnull=True, includes_subcategories=False)
                | Q(product__isnull=True, category__isnull=False),
                name="item_assignment_product_or_category",
            ),
            opens_before_it_closes("item_assignment_window_opens_before_it_closes"),
        ]

    @property
    def type(self) -> str:
        """PRODUCT or CATEGORY."""
        return "PRODUCT" if self.product_id is not None else "CATEGORY"

    def __str__(self) -> str:
        return f"{self.product or self.category} in {self.segment}"
