"""What answers that are shared at the edge are grouped by: a change purges the groups that it touches.

Answers for a set of segments carry the group of the tenant, those of its segments, and TREE
(docs/caching.md). A group of the same name in two tenants is purged for both.
"""

from functools import lru_cache
from urllib.parse import quote

SIGNS = "-._~:"
TREE = "tree"
"""Of all answers that depend on categories."""


def tenant_group(name: str) -> str:
    """Return the group of all of a tenant's answers."""
    return f"t:{name}"


@lru_cache(maxsize=1_024)
def segment_group(segment_id: str) -> str:
    """Return the group of the answers for sets that the segment is in, as headers can name it.

    Some caches divide groups at blanks or commas, and no header holds line breaks: all but letters, digits
    and a few signs of ids are written as in addresses.
    """
    return f"seg:{quote(segment_id, safe=SIGNS)}"
