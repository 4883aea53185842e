from django.contrib import admin

from catalog.models import Category
from segments.admin.assignments import CustomerAssignmentAdmin, ItemAssignmentAdmin
from segments.admin.categories import assign_to_segment
from segments.admin.segments import SegmentAdmin

__all__ = ["CustomerAssignmentAdmin", "ItemAssignmentAdmin", "SegmentAdmin"]

category_admin = admin.site.get_model_admin(Category)
category_admin.actions = (*(category_admin.actions or ()), assign_to_segment)
