"""The occasion of what was done to all rows that a filter of a list matched: the filter, in words.

Its id is that of the request, by which the journal finds all that was done then, and the words. They are
written in English, so that each reader is shown them in their own language.
"""

from collections.abc import Iterable

from django.utils.translation import gettext

from core.actors import LONGEST_TEXT

FILTERED = "filter"
BETWEEN, WITHIN = "; ", ": "


def filter_source(request_id: str, parts: Iterable[tuple[str, str]]) -> str:
    """Return the id of the occasion: what is filtered by and the value, of each filter."""
    words = BETWEEN.join(WITHIN.join(part).replace("\0", "") for part in parts)
    return f"{request_id} {words}"[:LONGEST_TEXT].rstrip()


def filter_in_words(source_id: str) -> str:
    """Return the filter as the reader is shown it; what an older id says has no words."""
    words = source_id.partition(" ")[2]
    return BETWEEN.join(
        WITHIN.join(gettext(text) if text else "" for text in part.split(WITHIN, 1))
        for part in words.split(BETWEEN)
    )
