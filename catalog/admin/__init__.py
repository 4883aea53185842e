"""The admin pages of the catalogue."""

from catalog.admin.assignments import CategoryAssignmentAdmin
from catalog.admin.categories import CategoryAdmin
from catalog.admin.faults import FAULTS
from catalog.admin.products import ProductAdmin
from core.admin.faults import register_faults

__all__ = ["CategoryAdmin", "CategoryAssignmentAdmin", "ProductAdmin"]

register_faults(*FAULTS)
