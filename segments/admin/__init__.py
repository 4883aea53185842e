from catalog.extensions import register_category_action
from segments.admin.assignments import CustomerAssignmentAdmin, ItemAssignmentAdmin
from segments.admin.categories import assign_to_segment
from segments.admin.customer_view import view_as_customer
from segments.admin.segments import SegmentAdmin
from segments.admin.start import calendar, findings, members, numbers

__all__ = [
    "CustomerAssignmentAdmin",
    "ItemAssignmentAdmin",
    "SegmentAdmin",
    "calendar",
    "findings",
    "members",
    "numbers",
    "view_as_customer",
]

register_category_action(assign_to_segment)
