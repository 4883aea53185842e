from catalog.extensions import register_category_action, register_category_effects, register_product_action
from core.admin.faults import register_faults
from core.admin.pages import register_filters
from segments.admin.assignments import CustomerAssignmentAdmin, ItemAssignmentAdmin
from segments.admin.categories import add_to_segment, assign_to_segment
from segments.admin.category_effects import category_facts
from segments.admin.customer_view import view_as_customer
from segments.admin.faults import FAULTS
from segments.admin.linked_lists import linked_filters
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
register_product_action(add_to_segment)
register_category_effects(category_facts)
register_filters(linked_filters)

register_faults(*FAULTS)
