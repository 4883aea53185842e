"""What the same transaction did to parts of a document, and what followed from its deletion."""

from collections.abc import Iterable, Iterator, Sequence

from core.journal.declarations import Recorded, RecordedAssignments, RecordedDocument, recorded, recorded_as
from core.journal.undo.changes import COLUMNS, ChangeRow
from core.journal.undo.rules import undoable_objects
from core.journal.verdicts import references_of
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows

MOST_ROWS = 50_000  # of the journal that one statement writes


def followers_of(changes: Iterable[ChangeRow]) -> dict[int, list[ChangeRow]]:
    """Return by the id of each change what the same transaction did to the parts of its document, or what
    followed from its deletion. Takes no lock.

    Parts are written after their document and before its next change. What a creation made of parts goes
    with the document itself.
    """
    found: dict[int, list[ChangeRow]] = {}
    statements: dict[tuple[object, ...], list[ChangeRow]] = {}
    for change in changes:
        found[change.id] = []
        if change.kind == "deleted":
            statements.setdefault((change.object, change.tx, change.at), []).append(change)
        elif change.kind == "updated":
            statements[change.object, change.id] = [change]
    for together in statements.values():
        ids = {change.key: change.id for change in together}
        for key, follower in followers_of_statement(together):
            found[ids[key]].append(follower)
    return found


def followers_of_statement(changes: Sequence[ChangeRow]) -> list[tuple[int, ChangeRow]]:
    """Return the followers of what one statement deleted, or of one change, with the key of each document."""
    change = changes[0]
    is_deletion = change.kind == "deleted"
    [(former, latter)] = fetch_rows(neighbours_of_statement(changes) if is_deletion else next_of(change))
    model = recorded_as(change.object).model
    conditions = [
        sql("change.object = {object} AND {condition}", object=param(name), condition=condition)
        for one in recorded()
        for name, condition in references_to(one, change.object, model, with_cascades=is_deletion)
    ]
    if not conditions:
        return []
    first = (former or 0) if is_deletion else change.id
    statement = Sql.joined(
        " UNION ALL ",
        [
            sql(
                "SELECT {columns}, main.key FROM unnest({keys}) AS main (key) JOIN journal_change AS change"
                " ON change.tenant_id = {tenant} AND {condition} AND change.tx = {tx}::xid8"
                " AND change.is_cascade = {is_cascade} AND change.id > {first} AND change.id < {last}",
                columns=COLUMNS,
                keys=param([one.key for one in changes], "bigint[]"),
                tenant=param(change.tenant_id),
                condition=condition,
                tx=param(change.tx),
                is_cascade=param(is_deletion),
                first=param(first),
                last=param(latter or 2**63 - 1),
            )
            for condition in conditions
        ],
    )
    rows = {(key, row[0]): ChangeRow(*row) for *row, key in fetch_rows(statement)}
    return [(key, rows[key, number]) for key, number in sorted(rows, key=lambda one: -one[1])]


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


def neighbours_of_statement(changes: Sequence[ChangeRow]) -> Sql:
    """The statement that finds the last row of the statement before, and the first row of the next one.

    Between them are what a deletion wrote, such as these changes, and what followed from it.
    """
    ids = [change.id for change in changes]
    return sql(
        "SELECT max(id) FILTER (WHERE id < {first}), min(id) FILTER (WHERE id > {last}) FROM journal_change"
        " WHERE tenant_id = {tenant} AND tx = {tx}::xid8 AND at <> {at} AND NOT is_cascade"
        " AND id BETWEEN {first} - {most} AND {last} + {most}",
        first=param(min(ids), "bigint"),
        last=param(max(ids), "bigint"),
        tenant=param(changes[0].tenant_id),
        tx=param(changes[0].tx),
        at=param(changes[0].at),
        most=param(MOST_ROWS),
    )


def references_to(
    one: Recorded, name: str, model: object, *, with_cascades: bool
) -> Iterator[tuple[str, Sql]]:
    """Yield (object, condition) of the changes of a model that a change of the document `main` brings."""
    key = identifier("main", "key")
    if isinstance(one, RecordedDocument):
        if one.part_of == name:
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
            for held, member in one.members.items():
                if column == one.owner:
                    # without the owner's id: it was gone by then
                    yield held, sql("change.key = {key} AND change.external_id IS NULL", key=key)
                elif column == member:
                    yield held, sql("change.keys @> {key}", key=key)
                elif column == one.legal_entity:
                    yield held, sql("change.legal_entity_id = {key}", key=key)
