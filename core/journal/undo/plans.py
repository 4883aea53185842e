"""Taking changes back: the opposite is written, where rows are still as a change left them.

A change of members or items is what one statement did to one owner. A change of a document goes with what the
same transaction did to its parts, and its deletion with all that followed from it; apps register what else
belongs to it and how it is written (`UndoRule`). What an undo does is recorded as a change with the source
`undo <id>`, so it can be taken back itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db import transaction

from core.actors import with_source
from core.journal.declarations import RecordedAssignments, recorded_as
from core.journal.undo.changes import COLUMNS, ChangeRow, Undone, find_change, statement_of
from core.journal.undo.documents import undo_documents
from core.journal.undo.followers import followers_of
from core.journal.undo.members import undo_members
from core.journal.undo.rules import objects_taken_back, refuse_impossible, rule_of
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from core.sql.lock_limits import LONGEST_LOCK, LockLimit

LARGEST_AT_ONCE = 20_000  # rows; what is larger is taken back slice by slice
DOCUMENTS_AT_ONCE = 500
LARGEST_STEP = 1_000  # documents of one change, in a step of its own


Followers = Mapping[int, Sequence[ChangeRow]]


def undo_batch(
    changes: Sequence[ChangeRow], followers: Followers, at: datetime, undone: Undone
) -> list[ChangeRow]:
    """Take back changes of one object and kind; return what else is to be taken back with them.

    Parts of documents are taken back here; members and items, which may be many, are returned. `followers`
    were looked up before, since here locks are held.
    """
    if isinstance(recorded_as(changes[0].object), RecordedAssignments):
        for change in changes:
            undo_members(change, at, undone)
        return []
    rule = rule_of(changes[0].object)
    if rule.prepare:
        rule.prepare(changes[0].tenant_id, changes)
    accepted = undo_documents(changes, at, undone)
    if rule.finish and accepted:
        rule.finish(accepted)
    members, parts = divided(follower for change in accepted for follower in followers[change.id])
    for _, group in groupby(parts, key=lambda one: (one.object, one.kind)):
        undo_documents(list(group), at, undone)
    return [*members, *(member for change in accepted for member in rule.members(change))]


def divided(changes: Iterable[ChangeRow]) -> tuple[list[ChangeRow], list[ChangeRow]]:
    """Return the changes of members and items, and those of documents."""
    members: list[ChangeRow] = []
    documents: list[ChangeRow] = []
    for change in changes:
        is_members = isinstance(recorded_as(change.object), RecordedAssignments)
        (members if is_members else documents).append(change)
    return members, documents


def steps_of(change: ChangeRow) -> tuple[list[Sequence[ChangeRow]], list[ChangeRow]]:
    """Return the changes of documents, in the order in which they are taken back, and those of members."""
    if isinstance(recorded_as(change.object), RecordedAssignments):
        return [], statement_of(change)
    companions = rule_of(change.object).companions(change)
    same: list[ChangeRow] = [change]
    others: list[ChangeRow] = []
    for one in companions:
        (same if one.kind == change.kind == "deleted" else others).append(one)
    followers = followers_of(same)
    members, _ = divided(follower for main in same for follower in followers[main.id])
    members += [member for main in same for member in rule_of(change.object).members(main)]
    return [*parts_of(same), *parts_of(others)], members


def parts_of(documents: Sequence[ChangeRow]) -> list[Sequence[ChangeRow]]:
    """Divide changes of documents into those that are taken back at once."""
    return [documents[first : first + LARGEST_STEP] for first in range(0, len(documents), LARGEST_STEP)]


def slices_of(members: Iterable[ChangeRow]) -> Iterator[list[ChangeRow]]:
    """Divide changes of members into slices of some 20,000 rows."""
    size = 0
    part: list[ChangeRow] = []
    for change in members:
        if part and size + change.count > LARGEST_AT_ONCE:
            yield part
            size, part = 0, []
        part.append(change)
        size += change.count
    if part:
        yield part


@dataclass
class UndoPlan:
    """A change that is to be taken back, in slices that are one transaction each."""

    change: ChangeRow
    documents: list[Sequence[ChangeRow]]
    slices: list[list[ChangeRow]]

    @property
    def rows(self) -> int:
        members = sum(change.count for part in self.slices for change in part)
        return members + sum(map(len, self.documents))

    @property
    def steps(self) -> int:
        return max(1, len(self.documents) + len(self.slices))

    @property
    def is_large(self) -> bool:
        """Whether one transaction would hold its locks for longer than others wait."""
        return self.rows > LARGEST_AT_ONCE or sum(map(len, self.documents)) > LARGEST_STEP

    def run_step(self, number: int, at: datetime, undone: Undone) -> None:
        """Do the slice of this number: documents come first, then members and items."""
        if number < len(self.documents):
            documents = self.documents[number]
            undo_batch(documents, followers_of(documents), at, undone)
            return
        for change in self.slices[number - len(self.documents)] if self.slices else ():
            undo_members(change, at, undone)


def plan_undo(change_id: int, *, tenant_id: int | None, at: datetime) -> UndoPlan:
    """Return how the change is taken back; raise ChangeNotFound or NotUndoable."""
    change = find_change(change_id, tenant_id)
    refuse_impossible(change, at)
    documents, members = steps_of(change)
    return UndoPlan(change, documents, list(slices_of(members)))


def undo_change(plan: UndoPlan, *, at: datetime) -> Undone:
    """Take the change back in one transaction and return what came of it."""
    undone = Undone()
    with with_source("undo", str(plan.change.id)), transaction.atomic():
        for number in range(plan.steps):
            plan.run_step(number, at, undone)
    return undone


def try_undo(plan: UndoPlan, *, at: datetime) -> Undone:
    """Return what would come of taking the change back; writes nothing.

    All steps are one transaction then, as each depends on those before. Raises LockedForTooLong when it holds
    what others write for longer than they wait.
    """
    limit = LockLimit(
        LONGEST_LOCK,
        f"A dry run of this undo is one transaction, which would hold what others write for more than"
        f" {LONGEST_LOCK} seconds. Nothing was changed. Without --dry-run it is divided, and can be taken"
        " back itself.",
    )
    with transaction.atomic():
        with limit.kept():
            limit.begin()
            undone = undo_change(plan, at=at)
        transaction.set_rollback(True)
    return undone


def undo_slice_of_source(
    *, tenant_id: int, source_type: str, source_id: str, below: int | None, at: datetime, undone: Undone
) -> int | None:
    """Take back the latest changes of a source, such as an import, that are older than `below`.

    Returns where the next slice ends; None when nothing is left. Call it in a transaction. What followed from
    a deletion, and parts of documents, are taken back with what they belong to.
    """
    rows = fetch_rows(
        sql(
            "SELECT {columns} FROM journal_change AS change WHERE change.source_type = {type}"
            " AND change.source_id = {id} AND change.tenant_id = {tenant} AND change.id < {below}"
            " AND NOT change.is_cascade AND change.object = ANY({objects})"
            " AND change.external_id IS DISTINCT FROM '/' ORDER BY change.id DESC"
            " LIMIT {most}",
            columns=COLUMNS,
            type=param(source_type),
            id=param(source_id),
            tenant=param(tenant_id),
            below=param(2**63 - 1 if below is None else below),
            objects=param(objects_taken_back(), "text[]"),
            most=param(DOCUMENTS_AT_ONCE),
        )
    )
    changes = next(slices_of(ChangeRow(*row) for row in rows), [])
    followers = followers_of(divided(changes)[1])
    for _, group in groupby(changes, key=lambda one: (one.tx, one.object, one.kind)):
        for change in undo_batch(list(group), followers, at, undone):
            if change.is_cascade or (change.source_type, change.source_id) != (source_type, source_id):
                undo_members(change, at, undone)  # others of the source have a turn of their own
    return changes[-1].id if changes else None
