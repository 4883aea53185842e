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
from segments.effects.category_changes import category_effects
from segments.effects.dependents import Dependent, Difference, readable_dependents, register_dependent
from segments.effects.members import members_of
from segments.effects.segment_changes import deletion_summary, effects_of

__all__ = [
    "MOST_SEGMENTS",
    "CategoryChangeBody",
    "CategoryEffects",
    "Dependent",
    "DependentEffect",
    "Difference",
    "Effects",
    "SegmentChange",
    "SegmentChangeBody",
    "SegmentsChangeBody",
    "category_effects",
    "deletion_summary",
    "effects_of",
    "members_of",
    "readable_dependents",
    "register_dependent",
]
