"""What the same transaction did to parts of a document, and what followed from its deletion."""

from collections.abc import Iterator

from core.journal.declarations import Recorded, RecordedAssignments, RecordedDocument, recorded, recorded_as
from core.journal.undo.changes import COLUMNS, ChangeRow
from core.journal.undo.rules import undoable_objects
from core.journal.verdicts import references_of
from core.sql.composition import Sql, param, sql
from core.sql.fetching import fetch_rows

MOST_ROWS = 50_000  # of the journal that one statement writes


def followers_of(change: ChangeRow) -> list[ChangeRow]:
    """Return what the same transaction did to the parts of a document, or what followed from its deletion.

    Parts are written after their document and before its next change. What a creation made of parts goes
    with the document itself.
    """
    if change.kind == "created":
        return []
    is_deletion = change.kind == "deleted"
    [(former, latter)] = fetch_rows(neighbours_of_statement(change) if is_deletion else next_of(change))
    model = recorded_as(change.object).model
    conditions = []
    for one in recorded():
        conditions += [
            sql(
                "change.object = {object} AND {condition}",
                object=param(name),
                condition=condition,
            )
            for name, condition in references_to(one, change, model, with_cascades=is_deletion)
        ]
    if not conditions:
        return []
    first = (former or 0) if is_deletion else change.id
    found = [
        sql(
            "change.tenant_id = {tenant} AND {condition} AND change.tx = {tx}::xid8"
            " AND change.is_cascade = {is_cascade} AND change.id > {first} AND change.id < {last}",
            tenant=param(change.tenant_id),
            condition=condition,
            tx=param(change.tx),
            is_cascade=param(is_deletion),
            first=param(first),
            last=param(latter or 2**63 - 1),
        )
        for condition in conditions
    ]
    statement = Sql.joined(
        " UNION ALL ",
        [
            sql(
                "SELECT {columns} FROM journal_change AS change WHERE {condition}",
                columns=COLUMNS,
                condition=each,
            )
            for each in found
        ],
    )
    rows = {row[0]: ChangeRow(*row) for row in fetch_rows(statement)}
    return [rows[key] for key in sorted(rows, reverse=True)]


def next_of(change: ChangeRow) -> Sql:
    """The statement that finds the next change of the same document in the same transaction."""
    return sql(
        "SELECT NULL::bigint, min(id) FROM journal_change WHERE tenant_id = {tenant} AND object = {object}"
        " AND key = {key} AND tx = {tx}::xid8 AND id > {id}",
        id=param(change.id),
        tenant=param(change.tenant_id),
        object=param(change.object),
        key=param(change.key),
        tx=param(change.tx),
    )


def neighbours_of_statement(change: ChangeRow) -> Sql:
    """The statement that finds the last row of the statement before, and the first row of the next one.

    Between them are what a deletion wrote and what followed from it.
    """
    return sql(
        "SELECT max(id) FILTER (WHERE id < {id}), min(id) FILTER (WHERE id > {id}) FROM journal_change"
        " WHERE tenant_id = {tenant} AND tx = {tx}::xid8 AND at <> {at} AND NOT is_cascade"
        " AND id BETWEEN {id} - {most} AND {id} + {most}",
        id=param(change.id, "bigint"),
        tenant=param(change.tenant_id),
        tx=param(change.tx),
        at=param(change.at),
        most=param(MOST_ROWS),
    )


def references_to(
    one: Recorded, change: ChangeRow, model: object, *, with_cascades: bool
) -> Iterator[tuple[str, Sql]]:
    """Yield (object, condition) of the changes of a model that a change of a document brings along."""
    key = param(change.key, "bigint")
    if isinstance(one, RecordedDocument):
        if one.part_of == change.object:
            yield one.object, sql("change.owner_key = {key}", key=key)
        elif with_cascades:
            for column, parent, _ in references_of(one.model):
                if parent is model and one.object in undoable_objects():
                    yield (
                        one.object,
                        sql("change.before ->> {column} = {key}::text", column=param(column), key=key),
                    )
    elif isinstance(one, RecordedAssignments) and with_cascades:
        for column, parent, _ in references_of(one.model):
            if parent is not model:
                continue
            for name, member in one.members.items():
                if column == one.owner:
                    # without the owner's id: it was gone by then
                    yield name, sql("change.key = {key} AND change.external_id IS NULL", key=key)
                elif column == member:
                    yield name, sql("change.keys @> {key}", key=key)
                elif column == one.legal_entity:
                    yield name, sql("change.legal_entity_id = {key}", key=key)
