"""Writing the opposite of changes of members and items."""

from datetime import datetime

from core.journal.declarations import RecordedAssignments, recorded_as
from core.journal.undo.changes import ChangeRow, Undone, chosen
from core.journal.undo.documents import restored_value
from core.journal.verdicts import AGAIN, member_verdicts, members_of_change, parent_of, plain_json
from core.sql.composition import Sql, identifier, identifiers, param, sql
from core.sql.fetching import execute, fetch_rows

FEW = 500  # members whose later changes are looked up one by one


def undo_members(change: ChangeRow, at: datetime, undone: Undone) -> None:
    """Take back what a change did to members or items of one owner, at most some 20,000 of them.

    Locks what they refer to, then the owner, then the rows, all in the order of their keys.
    """
    declared = recorded_as(change.object)
    assert isinstance(declared, RecordedAssignments)
    slots = {"table": identifier(declared.table), "change": chosen([change])}
    lock_referred(declared, change)
    rows = fetch_rows(
        sql(
            "SELECT verdict.key, verdict.present_id, verdict.refusal FROM journal_change AS change"
            " CROSS JOIN LATERAL ({verdicts}) AS verdict WHERE {change}",
            verdicts=Sql(
                member_verdicts(declared, change.object, members_of_change(), are_few=change.count <= FEW)
            ),
            change=slots["change"],
        )
    )
    refused: dict[str, list[int]] = {}
    ready: list[tuple[int, int | None]] = []
    for key, present, refusal in rows:
        if refusal is None:
            ready.append((key, present))
        else:
            refused.setdefault(refusal, []).append(key)
    count = 0
    if change.kind == "created":
        statement = sql(
            "DELETE FROM {table} WHERE id = ANY({keys})",
            table=slots["table"],
            keys=param([present for _, present in ready], "bigint[]"),
        )
        count = execute(statement) if ready else 0
    elif ready:
        keys = param([key for key, _ in ready], "bigint[]")
        written = {key for (key,) in fetch_rows(restoring_members(declared, change, keys, at))}
        count = len(written)
        if lost := [key for key, _ in ready if key not in written]:
            refused[AGAIN] = [*refused.get(AGAIN, ()), *lost]
    if count:
        undone.taken_back[change.object, change.kind] += count
    for reason, keys_left in refused.items():
        undone.leave(change, reason, keys_left)


def lock_referred(declared: RecordedAssignments, change: ChangeRow) -> None:
    """Lock what the rows refer to, when they are made again, and the rows that exist."""
    members = sql(
        "SELECT generate_series(lower(span), upper(span) - 1) FROM journal_change AS change,"
        " unnest(change.keys) AS span WHERE {change}",
        change=chosen([change]),
    )
    if change.kind == "deleted":
        wanted = [(parent_of(declared, declared.members[change.object]), members)]
        if change.legal_entity_id is not None:
            key = param(change.legal_entity_id, "bigint")
            wanted.append((parent_of(declared, declared.legal_entity), sql("SELECT {key}", key=key)))
        owner = sql("SELECT {key}", key=param(change.key, "bigint"))
        wanted.append((parent_of(declared, declared.owner), owner))
        for model, keys in wanted:
            execute(
                sql(
                    "SELECT FROM {table} WHERE id IN ({keys}) AND tenant_id = {tenant} ORDER BY id"
                    " FOR KEY SHARE",
                    table=identifier(model._meta.db_table),
                    keys=keys,
                    tenant=param(change.tenant_id),
                )
            )
    execute(
        sql(
            "SELECT FROM {table} WHERE tenant_id = {tenant} AND {owner} = {key} AND {member} IN ({members})"
            " ORDER BY {member} FOR UPDATE",
            table=identifier(declared.table),
            tenant=param(change.tenant_id),
            owner=identifier(declared.owner),
            key=param(change.key),
            member=identifier(declared.members[change.object]),
            members=members,
        )
    )


def restoring_members(declared: RecordedAssignments, change: ChangeRow, keys: Sql, at: datetime) -> Sql:
    """The statement that gives members back what they had, or makes them again; it returns their keys."""
    member, owner = declared.members[change.object], declared.owner
    formerly = sql(
        "journal_change AS change, jsonb_array_elements(change.before) AS entry,"
        " unnest((entry ->> 'keys')::int8multirange) AS span,"
        " generate_series(lower(span), upper(span) - 1) AS member (key),"
        " LATERAL jsonb_populate_record(NULL::{table}, {plain} || (entry - 'keys')) AS formerly"
        " WHERE {change} AND member.key = ANY({keys})",
        table=identifier(declared.table),
        plain=Sql(plain_json(declared)),
        change=chosen([change]),
        keys=keys,
    )
    names = declared.attributes
    slots = {
        "table": identifier(declared.table),
        "owner": identifier(owner),
        "member": identifier(member),
        "formerly": formerly,
    }
    if change.kind == "updated":
        entity = (
            sql(
                " AND stored.{name} IS NOT DISTINCT FROM change.legal_entity_id",
                name=identifier(declared.legal_entity),
            )
            if declared.legal_entity
            else Sql("")
        )
        sets = [
            sql("{name} = {value}", name=identifier(name), value=restored_value(declared, name, "stored", at))
            for name in names
        ]
        return sql(
            "UPDATE {table} AS stored SET {sets} FROM {formerly} AND stored.tenant_id = change.tenant_id"
            " AND stored.{owner} = change.key AND stored.{member} = member.key{entity}"
            " RETURNING stored.{member}",
            sets=Sql.joined(", ", sets),
            entity=entity,
            **slots,
        )
    columns = ["tenant_id", owner, member, *names]
    values = [Sql("change.tenant_id"), Sql("change.key"), Sql("member.key")]
    values += [restored_value(declared, name, "formerly", at) for name in names]
    if declared.legal_entity:
        columns.append(declared.legal_entity)
        values.append(Sql("change.legal_entity_id"))
    return sql(
        "INSERT INTO {table} ({columns}) SELECT {values} FROM {formerly} ORDER BY member.key"
        " ON CONFLICT DO NOTHING RETURNING {member}",
        table=slots["table"],
        columns=identifiers(columns),
        values=Sql.joined(", ", values),
        formerly=formerly,
        member=slots["member"],
    )
