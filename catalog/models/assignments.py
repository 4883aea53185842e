from django.db import models
from django.utils import timezone

from accounts.tenancy import TenantOwned
from core.constraints import SameTenantReference
from core.identifiers import generate_id


class CategoryAssignment(TenantOwned):
    """A product standing in a category."""

    tenant = models.ForeignKey(
        "accounts.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    external_id = models.CharField("id", max_length=128, default=generate_id)
    category = models.ForeignKey(
        "catalog.Category", on_delete=models.DO_NOTHING, db_constraint=False, related_name="assignments"
    )
    product = models.ForeignKey(
        "catalog.Product",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="category_assignments",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("id",)
        indexes = [models.Index(fields=["tenant", "product", "category"], name="category_of_product")]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="category_assignment_id_unique"),
            models.UniqueConstraint(
                fields=["tenant", "category", "product"], name="category_assignment_unique"
            ),
            SameTenantReference(field="category", on_delete="CASCADE", name="category_assignment_category"),
            SameTenantReference(field="product", on_delete="CASCADE", name="category_assignment_product"),
        ]

    def __str__(self) -> str:
        return f"{self.product} in {self.category}"
