from django.db import models
from django.utils import timezone

from core.tenancy.documents import TenantOwned
from core.tenancy.foreign_keys import TenantForeignKey
from core.tenancy.identifiers import generate_id


class CategoryAssignment(TenantOwned):
    """A product in a category.

    Written in bulk, it has no index beside the ones it names: each begins with the tenant.
    """

    tenant = models.ForeignKey(
        "tenancy.Tenant", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    external_id = models.CharField("id", max_length=128, default=generate_id)
    category = TenantForeignKey(
        "catalog.Category",
        on_delete=models.CASCADE,
        related_name="assignments",
    )
    product = TenantForeignKey(
        "catalog.Product",
        on_delete=models.CASCADE,
        related_name="category_assignments",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("id",)
        indexes = [
            models.Index(fields=["tenant", "product", "category"], name="category_of_product"),
            models.Index(fields=["tenant", "category", "id"], name="assignments_of_category"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "external_id"], name="category_assignment_id_unique"),
            models.UniqueConstraint(
                fields=["tenant", "category", "product"], name="category_assignment_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product} in {self.category}"
