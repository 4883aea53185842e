"""The admin pages of the catalogue."""

from catalog.admin.assignments import CategoryAssignmentAdmin
from catalog.admin.categories import CategoryAdmin
from catalog.admin.products import ProductAdmin

__all__ = ["CategoryAdmin", "CategoryAssignmentAdmin", "ProductAdmin"]
