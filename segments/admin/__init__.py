from catalog.extensions import register_category_action
from segments.admin.assignments import CustomerAssignmentAdmin, ItemAssignmentAdmin
from segments.admin.categories import assign_to_segment
from segments.admin.segments import SegmentAdmin

__all__ = ["CustomerAssignmentAdmin", "ItemAssignmentAdmin", "SegmentAdmin"]

register_category_action(assign_to_segment)
