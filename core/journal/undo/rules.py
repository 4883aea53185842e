"""What can be taken back, and how: apps register a rule for each kind of document."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.journal.declarations import RecordedAssignments, RecordedDocument, recorded, recorded_as
from core.journal.undo.changes import ChangeRow, NotUndoable
from core.journal.verdicts import document_refusal, member_verdicts, members_of_change

VERDICTS = 500  # members of a change that a history looks at
FIRST_VERDICTS = 10  # at which it looks first: nearly always one of them decides
RESTORED_WITHIN = timedelta(days=30)

Written = dict[int, str]
"""Why documents could not be written after all, by the id of the change."""


def no_companions(change: ChangeRow) -> list[ChangeRow]:
    return []


@dataclass(frozen=True, kw_only=True)
class UndoRule:
    """How changes of a kind of document are taken back.

    `prepare` takes the locks that come before the rows' own, given the tenant and the changes. `write` writes
    the opposite of changes of one kind that nothing is in the way of; absent it is plain SQL. `companions`
    are changes of other documents of the kind that one operation made together. `finish` is called with all
    changes that were taken back. `members` are changes of members that followed from a change of the
    document, and are taken back with it. Not `by_itself` means: only as a part of an import.
    """

    object: str
    by_itself: bool = True
    prepare: Callable[[int, Sequence[ChangeRow]], None] | None = None
    write: Callable[[Sequence[ChangeRow], datetime], Written] | None = None
    companions: Callable[[ChangeRow], list[ChangeRow]] = no_companions
    finish: Callable[[Sequence[ChangeRow]], None] | None = None
    members: Callable[[ChangeRow], list[ChangeRow]] = no_companions


_rules: dict[str, UndoRule] = {}


def register_undo(*rules: UndoRule) -> None:
    """Have changes of these objects taken back."""
    _rules.update({rule.object: rule for rule in rules})


def rule_of(name: str) -> UndoRule:
    """Return the rule of a kind of document; raise KeyError."""
    return _rules[name]


def undoable_objects() -> set[str]:
    """Return all objects whose changes are taken back: those with a rule, and all members and items."""
    assignments = (one for one in recorded() if isinstance(one, RecordedAssignments))
    return {*_rules, *(name for one in assignments for name in one.members)}


def is_part(name: str) -> bool:
    declared = recorded_as(name)
    return isinstance(declared, RecordedDocument) and bool(declared.part_of)


def objects_by_themselves() -> list[str]:
    """Return the objects whose changes can be named to be taken back."""
    return sorted(
        name
        for name in undoable_objects()
        if not is_part(name) and (name not in _rules or _rules[name].by_itself)
    )


def objects_taken_back() -> list[str]:
    """Return the names of what an undo of a whole source takes back by itself: no parts of documents."""
    return sorted(name for name in undoable_objects() if not is_part(name))


def undoable_condition() -> str:
    """An expression of SQL over `change`: whether taking it back would do anything."""
    whens = []
    for name in objects_by_themselves():
        declared = recorded_as(name)
        if isinstance(declared, RecordedDocument):
            verdict = f"{document_refusal(declared)} IS NULL"
        else:
            assert isinstance(declared, RecordedAssignments)
            first, more = (some_undoable(declared, name, most) for most in (FIRST_VERDICTS, VERDICTS))
            verdict = f"({first} OR change.count > {FIRST_VERDICTS} AND {more})"
        whens.append(f"WHEN '{name}' THEN {verdict}")
    return f"""CASE WHEN change.is_cascade OR change.tenant_id IS NULL OR change.external_id = '/' THEN FALSE
        WHEN change.object = 'segment' AND change.kind = 'deleted'
            AND change.at < now() - interval '{RESTORED_WITHIN.days} days' THEN FALSE
        ELSE CASE change.object {" ".join(whens)} ELSE FALSE END END"""


def some_undoable(declared: RecordedAssignments, name: str, most: int) -> str:
    """The condition that one of so many members of a change can be taken back."""
    verdicts = member_verdicts(declared, name, members_of_change(most), are_few=True)
    return f"EXISTS (SELECT FROM ({verdicts}) AS verdict WHERE verdict.refusal IS NULL)"


def refuse_impossible(change: ChangeRow, at: datetime) -> None:
    """Raise NotUndoable for changes that are never taken back by themselves."""
    if change.is_cascade:
        raise NotUndoable(
            f"Change {change.id} followed from a deletion. Undo that one, and this is taken back with it."
        )
    if change.object in undoable_objects() and is_part(change.object):
        declared = recorded_as(change.object)
        assert isinstance(declared, RecordedDocument)
        raise NotUndoable(
            f"A change of a {change.object} is taken back with that of its {declared.part_of}: undo that one."
        )
    if change.object not in objects_by_themselves() or change.external_id == "/":
        raise NotUndoable(f"A change of a {change.object} cannot be taken back.")
    if (change.object, change.kind) == ("segment", "deleted") and change.at < at - RESTORED_WITHIN:
        raise NotUndoable(
            f"A deleted segment can be restored within {RESTORED_WITHIN.days} days; this one was deleted on"
            f" {change.at:%Y-%m-%d}."
        )
