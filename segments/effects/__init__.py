"""What a change of segments or of a category would do to shoppers, before anybody makes it.

Used before deleting, deactivating, and changing window, site or status of segments, and before moving,
deleting, publishing and unpublishing a category. Packages above register what else depends on segments.
"""

from segments.effects.bodies import (
    MOST_SEGMENTS,
    CategoryChangeBody,
    CategoryEffects,
    DependentEffect,
    Effects,
    SegmentChange,
    SegmentChangeBody,
    SegmentsChangeBody,
)
from segments.effects.category_changes import category_effects, products_of
from segments.effects.dependents import (
    CategoryDifference,
    Dependent,
    Difference,
    readable_dependents,
    register_dependent,
)
from segments.effects.members import Affected, affected_customers, disappearing_categories, members_of
from segments.effects.segment_changes import change_of, deletion_summary, effects_of, effects_of_change

__all__ = [
    "MOST_SEGMENTS",
    "Affected",
    "CategoryChangeBody",
    "CategoryDifference",
    "CategoryEffects",
    "Dependent",
    "DependentEffect",
    "Difference",
    "Effects",
    "SegmentChange",
    "SegmentChangeBody",
    "SegmentsChangeBody",
    "affected_customers",
    "category_effects",
    "change_of",
    "deletion_summary",
    "disappearing_categories",
    "effects_of",
    "effects_of_change",
    "members_of",
    "products_of",
    "readable_dependents",
    "register_dependent",
]
