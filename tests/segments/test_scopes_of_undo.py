"""Nothing is taken back by a client without a scope."""

import pytest

from core.journal.undo.rules import objects_by_themselves
from segments.changes import OF_RULES, WRITERS, scopes_to_undo


@pytest.mark.django_db
def test_every_change_that_can_be_taken_back_needs_a_scope() -> None:
    names = objects_by_themselves()
    assert [name for name in names if not scopes_to_undo(0, name)] == []
    known = {*OF_RULES, *(name for listed in WRITERS.values() for name in listed)}
    assert known - {"segment-rule-exclusion"} <= {*names, *OF_RULES}
