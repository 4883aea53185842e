from segments.admin.assignments import CustomerAssignmentAdmin, ItemAssignmentAdmin
from segments.admin.segments import SegmentAdmin

__all__ = ["CustomerAssignmentAdmin", "ItemAssignmentAdmin", "SegmentAdmin"]
