"""Writing the opposite of changes of documents."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from django.db import IntegrityError, transaction

from core.errors import DomainError
from core.journal.declarations import Recorded, RecordedDocument, all_columns, recorded_as
from core.journal.undo.changes import ChangeRow, Undone, chosen
from core.journal.undo.rules import Written, rule_of
from core.journal.verdicts import document_refusal, is_missing, optional_references, plain_document
from core.sql.composition import Sql, identifier, identifiers, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.lock_limits import LockedForTooLong

TAKEN = "another one has its id, code or number by now"


def undo_documents(changes: Sequence[ChangeRow], at: datetime, undone: Undone) -> list[ChangeRow]:
    """Take back changes of one object and kind, as far as nothing is in the way; return which.

    Again and again while that makes room for others: of a parent and its child, which were deleted together,
    the parent comes first.
    """
    waiting, accepted = list(changes), []
    refusals: dict[int, str | None] = {}
    while waiting:
        refusals = judge(waiting)
        ready = [change for change in waiting if refusals[change.id] is None]
        if not ready:
            break
        failed = write(ready, at)
        for change in ready:
            if change.id in failed:
                undone.leave(change, failed[change.id])
            else:
                accepted.append(change)
                undone.taken_back[change.object, change.kind] += 1
        waiting = [change for change in waiting if refusals[change.id] is not None]
    for change in waiting:
        undone.leave(change, refusals[change.id] or "")
    return accepted


def judge(changes: Sequence[ChangeRow]) -> dict[int, str | None]:
    """Lock the documents that exist; return for each change what is in the way."""
    declared = recorded_as(changes[0].object)
    assert isinstance(declared, RecordedDocument)
    execute(
        sql(
            "SELECT FROM {table} WHERE {pk} = ANY({keys}) AND tenant_id = {tenant} ORDER BY {pk} FOR UPDATE",
            table=identifier(declared.table),
            pk=identifier(declared.primary_key),
            keys=param([change.key for change in changes], "bigint[]"),
            tenant=param(changes[0].tenant_id),
        )
    )
    return dict(
        fetch_rows(
            sql(
                "SELECT change.id, {refusal} FROM journal_change AS change WHERE {chosen}",
                refusal=Sql(document_refusal(declared)),
                chosen=chosen(changes),
            )
        )
    )


def write(changes: Sequence[ChangeRow], at: datetime) -> Written:
    """Write the opposite, as the rule of the object says; of either half when it meets a refusal."""
    rule = rule_of(changes[0].object)
    write_all = rule.write or write_documents
    return by_halves(changes, lambda part: write_all(part, at))


def by_halves(changes: Sequence[ChangeRow], write_all: Callable[[Sequence[ChangeRow]], Written]) -> Written:
    """Write all at once; of either half by itself when a constraint or a rule refuses that.

    Returns why a change by itself could not be written.
    """
    try:
        with transaction.atomic():
            return write_all(changes)
    except LockedForTooLong:  # no half would come to its end either
        raise
    except (IntegrityError, DomainError) as refused:
        if len(changes) == 1:
            return {changes[0].id: refused.message if isinstance(refused, DomainError) else TAKEN}
    middle = len(changes) // 2
    return by_halves(changes[:middle], write_all) | by_halves(changes[middle:], write_all)


def write_documents(
    changes: Sequence[ChangeRow], at: datetime, *, derived: Mapping[str, Sql] = MappingProxyType({})
) -> Written:
    """Delete what was created, restore what was changed or deleted, under its old key. Versions grow.

    `derived` has values of columns that the journal does not have.
    """
    declared = recorded_as(changes[0].object)
    assert isinstance(declared, RecordedDocument)
    slots = {
        "table": identifier(declared.table),
        "pk": identifier(declared.primary_key),
        "chosen": chosen(changes),
    }
    columns = all_columns(declared.model)
    if changes[0].kind == "created":
        statement = sql(
            "DELETE FROM {table} AS stored USING journal_change AS change"
            " WHERE {chosen} AND stored.{pk} = change.key",
            **slots,
        )
    elif changes[0].kind == "updated":
        sets = [
            sql("{name} = {value}", name=identifier(name), value=restored_value(declared, name, "stored", at))
            for name in columns
            if name in declared.taken_back
        ]
        statement = sql(
            "UPDATE {table} AS stored SET {sets} FROM journal_change AS change, {table} AS present,"
            " LATERAL jsonb_populate_record(present, change.before) AS formerly"
            " WHERE {chosen} AND stored.{pk} = change.key AND present.{pk} = change.key",
            sets=Sql.joined(", ", sets),
            **slots,
        )
    else:
        values = [
            derived[name] if name in derived else restored_value(declared, name, "formerly", at)
            for name in columns
        ]
        statement = sql(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM journal_change AS change,"
            " LATERAL jsonb_populate_record(NULL::{table}, {former}) AS formerly"
            " WHERE {chosen} ORDER BY change.{key}",
            columns=identifiers(columns),
            values=Sql.joined(", ", values),
            former=former_document(declared),
            key=Sql("key"),
            table=slots["table"],
            chosen=slots["chosen"],
        )
    execute(statement)
    return {}


def former_document(declared: RecordedDocument) -> Sql:
    """The whole row of `change.before` as jsonb."""
    return sql(
        "({plain} || change.before"
        " || jsonb_build_object({pk}, change.key) || jsonb_build_object('tenant_id', change.tenant_id))",
        plain=Sql(plain_document(declared)),
        pk=param(declared.primary_key, "text"),
    )


def restored_value(declared: Recorded, name: str, versioned: str, at: datetime) -> Sql:
    """The value that a column of a restored row gets, of the row `formerly`."""
    if name == "version":
        return sql("{version} + 1", version=identifier(versioned, "version"))
    if name == "modified_at":
        return param(at, "timestamptz")
    parents = dict(optional_references(declared)) if isinstance(declared, RecordedDocument) else {}
    if name in parents:
        missing = is_missing(parents[name], f"formerly.{name}")
        return sql(
            "CASE WHEN {missing} THEN NULL ELSE {value} END",
            missing=Sql(missing),
            value=identifier("formerly", name),
        )
    return identifier("formerly", name)
