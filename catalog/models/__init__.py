from catalog.models.assignments import CategoryAssignment
from catalog.models.categories import Category, CategoryNumber
from catalog.models.products import Product

__all__ = ["Category", "CategoryAssignment", "CategoryNumber", "Product"]
