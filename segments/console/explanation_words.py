"""The reasons of explanations in the reader's words. Packages above add those of theirs."""

from collections.abc import Iterable, Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from segments.explanations import Failing

_words: dict[str, str | Promise] = {
    Failing.NOT_A_MEMBER: _("not a member"),
    Failing.MEMBERSHIP_NOT_STARTED: _("membership has not started"),
    Failing.MEMBERSHIP_OVER: _("membership is over"),
    Failing.OTHER_LEGAL_ENTITY: _("member only when acting for another company"),
    Failing.SEGMENT_INACTIVE: _("segment is inactive"),
    Failing.SEGMENT_NOT_STARTED: _("segment has not started"),
    Failing.SEGMENT_OVER: _("segment is over"),
    Failing.OTHER_SITE: _("segment is for another site"),
    Failing.ITEM_NOT_ASSIGNED: _("not assigned to the segment"),
    Failing.ASSIGNMENT_OVER: _("no longer assigned to the segment"),
    Failing.CATEGORY_UNPUBLISHED: _("category is unpublished"),
    Failing.ANCESTOR_UNPUBLISHED: _("a category above is unpublished"),
    Failing.PRODUCT_UNPUBLISHED: _("product is unpublished"),
}


def register_words(words: Mapping[str, str | Promise]) -> None:
    """Add the words of further reasons."""
    _words.update(words)


def reasons_in_words(reasons: Iterable[str]) -> str:
    """Return reasons as people read them, the first first."""
    return ", ".join(str(_words.get(reason, reason)) for reason in reasons)
