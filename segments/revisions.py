"""The subjects whose changes segments count, beside each segment by its key (docs/caching.md)."""

ITEMS = -5
"""Items of any segment, and the ids of segments: products show the segments that they are assigned to."""
SITES = -6
"""Sites, whose codes segments show."""
