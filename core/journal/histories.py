"""Which changes belong to the history of a row, and the rows of the journal as pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db import models
from django.db.models import Case, F, JSONField, Q, QuerySet, When

from core.journal.declarations import RecordedAssignments, RecordedDocument, recorded
from core.journal.lookups import holds
from core.journal.models import Change
from core.journal.undo.rules import undoable_condition
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows


def shown_changes(rows: QuerySet[Change]) -> QuerySet[Change]:
    """Leave out what pages do not show of large changes."""
    documents = {
        f"shown_{name}": Case(When(keys__isnull=True, then=F(name)), output_field=JSONField())
        for name in ("before", "after")
    }
    return rows.defer("keys", "before", "after", "tx").annotate(**documents)


def add_undoable(changes: Sequence[Change]) -> None:
    """Say of each change whether taking it back would do anything, as its attribute `undoable`.

    In a statement of its own, whose plan is kept: to plan it takes longer than to run it.
    """
    if not changes:
        return
    times = [change.at for change in changes]
    statement = sql(
        "SELECT change.id, {undoable} FROM journal_change AS change"
        " WHERE change.id = ANY({ids}) AND change.at BETWEEN {first} AND {last}",
        undoable=Sql(undoable_condition()),
        ids=param([change.pk for change in changes], "bigint[]"),
        first=param(min(times), "timestamptz"),
        last=param(max(times), "timestamptz"),
    )
    found: dict[int, bool] = dict(fetch_rows(statement, prepared=True))
    for change in changes:
        change.undoable = found.get(change.pk, False)


@dataclass(frozen=True, slots=True)
class Part:
    """Changes that belong to the history of a row: of these objects, and with this key.

    `column` is `key` or `owner_key`, or `member` for changes that hold the key. A member may be one of an
    owner, and then for a company or not.
    """

    objects: tuple[str, ...]
    column: str
    key: int
    owner: int | None = None
    legal_entity: int | None = None

    @property
    def condition(self) -> Q:
        if self.column != "member":
            return Q(object__in=self.objects, **{self.column: self.key})
        held = Q(object__in=self.objects, keys__contains_key=self.key)
        return held if self.owner is None else held & Q(key=self.owner, legal_entity_id=self.legal_entity)

    def newest(self, tenant: Sql, before: Sql, most: Sql) -> Sql:
        """A SELECT of the newest of them, found by an index."""
        beyond = sql(
            " AND {tenant} AND change.id < {before} ORDER BY change.id DESC LIMIT {most}",
            tenant=tenant,
            before=before,
            most=most,
        )
        if self.column != "member":
            return Sql.joined(
                " UNION ALL ",
                [
                    sql(
                        "(SELECT change.id, change.at FROM journal_change AS change"
                        " WHERE change.object = {object} AND {column} = {key}{beyond})",
                        object=param(name),
                        column=identifier("change", self.column),
                        key=param(self.key, "bigint"),
                        beyond=beyond,
                    )
                    for name in self.objects
                ],
            )
        owned = (
            Sql("")
            if self.owner is None
            else sql(
                " AND change.key = {owner} AND change.legal_entity_id IS NOT DISTINCT FROM {entity}",
                owner=param(self.owner, "bigint"),
                entity=param(self.legal_entity, "bigint"),
            )
        )
        return sql(
            # OFFSET keeps the planner from any other index than that of members
            "(SELECT change.id, change.at FROM (SELECT held.* FROM journal_change AS held WHERE {holds}"
            " OFFSET 0) AS change WHERE change.object = ANY({objects}){owned}{beyond})",
            holds=holds("held", param(self.key, "bigint")),
            objects=param(list(self.objects), "text[]"),
            owned=owned,
            beyond=beyond,
        )


def newest_changes(row: models.Model, *, before: int | None, most: int) -> list[Change]:
    """Return the newest changes of the history of a row, below an id, as pages show them."""
    tenant_id: int | None = getattr(row, "tenant_id", None)
    tenant = (
        Sql("change.tenant_id IS NULL")
        if tenant_id is None
        else sql("change.tenant_id = {tenant}", tenant=param(tenant_id))
    )
    limits = {"before": param(2**63 - 1 if before is None else before, "bigint"), "most": param(most)}
    parts = [part.newest(tenant, **limits) for part in parts_of_history(row)]
    if not parts:
        return []
    found = fetch_rows(
        sql(
            "SELECT DISTINCT change.id, change.at FROM ({parts}) AS change"
            " ORDER BY change.id DESC LIMIT {most}",
            parts=Sql.joined(" UNION ALL ", parts),
            most=limits["most"],
        )
    )
    if not found:
        return []
    times = [at for _, at in found]
    rows = Change.objects.filter(pk__in=[key for key, _ in found], at__range=(min(times), max(times)))
    return list(shown_changes(rows.order_by("-id")))


def history_condition(row: models.Model) -> Q:
    """The condition that a change belongs to the history of a row."""
    return reduce(or_, (part.condition for part in parts_of_history(row)), Q(pk__in=[]))


def parts_of_history(row: models.Model) -> list[Part]:
    """Return the changes of a row and its parts, of its members, and of what it is a member of."""
    parts = []
    for one in recorded():
        if one.model is not type(row):
            continue
        if isinstance(one, RecordedAssignments):
            parts += membership(one, row)
            continue
        assert isinstance(one, RecordedDocument)
        parts.append(Part((one.object,), "key", row.pk))
        for other in recorded():
            if isinstance(other, RecordedDocument) and one.object in (other.part_of, other.shown_with):
                parts.append(Part((other.object,), "owner_key", row.pk))
            elif isinstance(other, RecordedAssignments):
                parts += held_by(other, row) + holding(other, row)
    return parts


def refers_to(one: RecordedAssignments, column: str, row: models.Model) -> bool:
    field = next(each for each in one.model._meta.concrete_fields if each.column == column)
    return field.related_model is type(row)


def held_by(one: RecordedAssignments, row: models.Model) -> list[Part]:
    return [Part(tuple(one.members), "key", row.pk)] if refers_to(one, one.owner, row) else []


def holding(one: RecordedAssignments, row: models.Model) -> list[Part]:
    names = tuple(name for name, column in one.members.items() if refers_to(one, column, row))
    return [Part(names, "member", row.pk)] if names else []


def membership(one: RecordedAssignments, row: object) -> list[Part]:
    """The changes of one member of one owner."""
    entity = getattr(row, one.legal_entity) if one.legal_entity else None
    return [
        Part((name,), "member", member, getattr(row, one.owner), entity)
        for name, column in one.members.items()
        if (member := getattr(row, column)) is not None
    ]
