"""Which changes belong to the history of a row, and the rows of the journal as pages show them."""

import re
from typing import Any

from django.db import models
from django.db.models import BooleanField, Case, F, JSONField, Q, QuerySet, When
from django.db.models.expressions import RawSQL

from core.journal.declarations import RecordedAssignments, RecordedDocument, recorded
from core.journal.models import Change
from core.journal.undo.rules import undoable_condition


def shown_changes(rows: QuerySet[Change]) -> QuerySet[Change]:
    """Leave out what pages do not show of large changes, and add `undoable`."""
    condition = re.sub(r"\bchange\.", '"journal_change".', undoable_condition())
    documents = {
        f"shown_{name}": Case(When(keys__isnull=True, then=F(name)), output_field=JSONField())
        for name in ("before", "after")
    }
    undoable = RawSQL(condition, (), output_field=BooleanField())  # noqa: S611 -- text of the code
    return rows.defer("keys", "before", "after", "tx").annotate(undoable=undoable, **documents)


def history_of(row: models.Model) -> QuerySet[Change]:
    """Return the changes of a row and its parts, of its members, and of what it is a member of."""
    tenant_id: Any = getattr(row, "tenant_id", None)
    return Change.objects.filter(history_condition(row), tenant_id=tenant_id)


def history_condition(row: models.Model) -> Q:
    """The condition of `history_of`."""
    declared = [one for one in recorded() if one.model is type(row)]
    condition = Q(pk__in=[])
    for one in declared:
        if isinstance(one, RecordedAssignments):
            condition |= membership(one, row)
            continue
        assert isinstance(one, RecordedDocument)
        condition |= Q(object=one.object, key=row.pk)
        for other in recorded():
            if isinstance(other, RecordedDocument) and one.object in (other.part_of, other.shown_with):
                condition |= Q(object=other.object, owner_key=row.pk)
            elif isinstance(other, RecordedAssignments):
                condition |= held_by(other, row) | holding(other, row)
    return condition


def refers_to(one: RecordedAssignments, column: str, row: models.Model) -> bool:
    field = next(each for each in one.model._meta.concrete_fields if each.column == column)
    return field.related_model is type(row)


def held_by(one: RecordedAssignments, row: models.Model) -> Q:
    is_owner = refers_to(one, one.owner, row)
    return Q(object__in=list(one.members), key=row.pk) if is_owner else Q(pk__in=[])


def holding(one: RecordedAssignments, row: models.Model) -> Q:
    names = [name for name, column in one.members.items() if refers_to(one, column, row)]
    return Q(object__in=names) & Q(keys__contains_key=row.pk) if names else Q(pk__in=[])


def membership(one: RecordedAssignments, row: object) -> Q:
    """The changes of one member of one owner."""
    found = Q(pk__in=[])
    for name, column in one.members.items():
        if (member := getattr(row, column)) is not None:
            found |= Q(object=name, key=getattr(row, one.owner)) & Q(keys__contains_key=member)
    if one.legal_entity:
        found &= Q(legal_entity_id=getattr(row, one.legal_entity))
    return found
