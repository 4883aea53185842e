"""What answers that are shared at the edge are grouped by: a change purges the groups that it touches.

Answers for a set of segments carry the group of the tenant, those of its segments, and TREE
(docs/caching.md). A group of the same name in two tenants is purged for both.
"""

TREE = "tree"
"""Of all answers that depend on categories."""


def tenant_group(name: str) -> str:
    """Return the group of all of a tenant's answers."""
    return f"t:{name}"


def segment_group(segment_id: str) -> str:
    """Return the group of the answers for sets that the segment is in."""
    return f"seg:{segment_id}"
