"""Rows of the journal that are to be taken back, and what came of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from core.errors import InvalidInput, NotFound
from core.journal.declarations import RecordedAssignments, recorded_as
from core.journal.verdicts import parent_of
from core.json_types import JsonObject
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows

SHOWN_MEMBERS = 100  # that were left alone for one reason
LISTED = 1_000  # entries of what was left alone


class NotUndoable(InvalidInput):
    """A change that is not taken back by itself."""

    code = "not_undoable"


class ChangeNotFound(NotFound):
    """There is no such change, or it is of another tenant."""

    code = "change_not_found"

    def __init__(self, change_id: int) -> None:
        super().__init__(f"There is no change {change_id}.", resource_id=str(change_id))


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """What taking back needs to know of a row of the journal."""

    id: int
    tx: str
    at: datetime
    tenant_id: int
    kind: str
    object: str
    key: int
    owner_key: int | None
    external_id: str | None
    legal_entity_id: int | None
    count: int
    is_cascade: bool
    source_type: str
    source_id: str


NAMES = [f"change.{each.name}" for each in fields(ChangeRow)]
COLUMNS = Sql(", ".join(NAMES).replace("change.tx", "change.tx::text"))


@dataclass
class Undone:
    """What an undo came to: how many rows by object and kind of the change, and what was left alone.

    `left_alone` lists the first ones, `total_left` counts all rows.
    """

    taken_back: Counter[tuple[str, str]] = field(default_factory=Counter)
    left_alone: list[JsonObject] = field(default_factory=list)
    total_left: int = 0

    @property
    def total(self) -> int:
        return sum(self.taken_back.values())

    def leave(self, change: ChangeRow, reason: str, keys: Sequence[int] | None = None) -> None:
        count = change.count if keys is None else len(keys)
        self.total_left += count
        if len(self.left_alone) >= LISTED:
            return
        entry = {
            "changeId": change.id,
            "object": {"type": change.object, "id": change.external_id},
            "reason": reason,
            "count": count,
        }
        if keys is not None:
            entry["members"] = names_of_members(change, sorted(keys)[:SHOWN_MEMBERS])
        self.left_alone.append(entry)

    def as_json(self) -> JsonObject:
        taken = [
            {"object": name, "kind": kind, "count": count}
            for (name, kind), count in sorted(self.taken_back.items())
        ]
        return {
            "takenBackCount": self.total,
            "takenBack": taken,
            "leftAloneCount": self.total_left,
            "leftAlone": self.left_alone,
        }

    @classmethod
    def from_json(cls, result: JsonObject) -> "Undone":
        taken = Counter({(one["object"], one["kind"]): one["count"] for one in result.get("takenBack", ())})
        return cls(taken, list(result.get("leftAlone", ())), result.get("leftAloneCount", 0))


def names_of_members(change: ChangeRow, keys: Sequence[int]) -> list[str]:
    """Return the ids that clients know of members or items that still exist."""
    declared = recorded_as(change.object)
    assert isinstance(declared, RecordedAssignments)
    rows = fetch_rows(
        sql(
            "SELECT external_id FROM {table} WHERE tenant_id = {tenant} AND id = ANY({keys}) ORDER BY id",
            table=identifier(parent_of(declared, declared.members[change.object])._meta.db_table),
            tenant=param(change.tenant_id),
            keys=param(list(keys), "bigint[]"),
        )
    )
    return [name for (name,) in rows]


def changes_where(condition: Sql, order: str = "change.id") -> list[ChangeRow]:
    rows = fetch_rows(
        sql(
            "SELECT {columns} FROM journal_change AS change WHERE {condition} ORDER BY {order}",
            columns=COLUMNS,
            condition=condition,
            order=Sql(order),
        )
    )
    return [ChangeRow(*row) for row in rows]


def find_change(change_id: int, tenant_id: int | None = None) -> ChangeRow:
    """Return the change, of this tenant if one is given; raise ChangeNotFound."""
    condition = sql("change.id = {id}", id=param(change_id, "bigint"))
    if tenant_id is not None:
        condition = sql("{id} AND change.tenant_id = {tenant}", id=condition, tenant=param(tenant_id))
    found = changes_where(condition)
    if not found:
        raise ChangeNotFound(change_id)
    return found[0]


def statement_of(change: ChangeRow) -> list[ChangeRow]:
    """Return the rows that the statement made, which are several when it wrote many members."""
    return changes_where(
        sql(
            "change.tenant_id = {tenant} AND change.object = {object} AND change.key = {key}"
            " AND change.at = {at} AND change.tx = {tx}::xid8 AND change.kind = {kind}"
            " AND NOT change.is_cascade",
            tenant=param(change.tenant_id),
            object=param(change.object),
            key=param(change.key),
            at=param(change.at),
            tx=param(change.tx),
            kind=param(change.kind),
        )
    )


def chosen(changes: Sequence[ChangeRow]) -> Sql:
    return sql(
        "change.tenant_id = {tenant} AND change.id = ANY({ids})",
        tenant=param(changes[0].tenant_id),
        ids=param([change.id for change in changes], "bigint[]"),
    )
