"""Reads of the past: statements that read tables as they were at an instant.

`reading_past` puts a WITH before each statement that is fetched, whose members have the names of the tables
and hide them. A member is the present rows that the journal has not changed since, and the rows that it has
changed, as they were before the first of these changes. A table without later changes is read as it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
from django.db import connection, models
from django.db.models.fields import NOT_PROVIDED

from core.errors import InvalidInput
from core.journal.declarations import Recorded, RecordedAssignments, all_columns, recorded
from core.journal.lookups import holds
from core.journal.models import Beginning
from core.journal.triggers import plain_value
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows, rewriting
from core.timestamps import format_time

Needed = Mapping[str, Sequence[int]]
"""Which rows of a table are needed: those whose column holds one of the keys, by columns; without any, all.

Columns are the key of a document, or owner and members of assignments.
"""
ENTRIES = """SELECT later.keys AS keys, NULL::jsonb AS row WHERE later.before IS NULL
UNION ALL SELECT (part.value ->> 'keys')::int8multirange, part.value
FROM jsonb_array_elements(later.before) AS part"""
# A created row says nothing of how it was; the entries of others divide their keys.
MIDNIGHT = datetime(2000, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def journal_beginning() -> datetime:
    """Return since when the journal knows every change."""
    return Beginning.objects.get().at


@contextmanager
def reading_past(
    tenant_id: int, at: datetime, needed: Mapping[type[models.Model], Needed] | None = None
) -> Iterator[None]:
    """Have `fetch_rows` read the tenant's rows as they were at `at`.

    The cost is that of the changes since, of a model in `needed` only those of its needed rows; other rows
    of it may be missing. Raises InvalidInput, naming the journal's first whole minute, for an instant before
    its beginning.
    """
    beginning = journal_beginning()
    if at < beginning:
        # pages show minutes and take them: the whole minute that follows is an instant that all can name
        first = beginning + (MIDNIGHT - beginning) % MINUTE
        raise InvalidInput(
            f"The history begins at {format_time(first)}; name that instant or a later one.",
            field="asOf",
        )
    changed = objects_changed_since(tenant_id, at)
    members = [
        sql("{table} AS NOT MATERIALIZED ({rows})", table=identifier(one.table), rows=rows)
        for one in recorded()
        if one.is_complete
        and "tenant_id" in all_columns(one.model)
        and not changed.isdisjoint(objects_of(one))
        for rows in [past_rows(one, tenant_id, at, (needed or {}).get(one.model, {}))]
    ]
    with rewriting(partial(prefixed, Sql.joined(", ", members)) if members else None):
        yield


def prefixed(members: Sql, statement: Sql) -> Sql:
    return sql("WITH {members} SELECT * FROM ({statement}) AS past", members=members, statement=statement)


def objects_of(one: Recorded) -> Iterable[str]:
    return one.members if isinstance(one, RecordedAssignments) else (one.object,)


def objects_changed_since(tenant_id: int, at: datetime) -> set[str]:
    """Return what has changed since, by the names that the journal has for it."""
    names = [name for one in recorded() for name in objects_of(one)]
    statement = sql(
        "SELECT kind.object FROM unnest({names}) AS kind (object) WHERE {at} < ("
        "SELECT max(later.at) FROM journal_change AS later"
        " WHERE later.tenant_id = {tenant} AND later.object = kind.object AND later.at > {at})",
        names=param(names, "text[]"),
        tenant=param(tenant_id),
        at=param(at),
    )
    return {name for (name,) in fetch_rows(statement)}


def past_rows(one: Recorded, tenant_id: int, at: datetime, needed: Needed) -> Sql:
    """Return a SELECT of the needed rows of a table, with its columns, as they were at `at`."""
    if isinstance(one, RecordedAssignments):
        return past_assignments(one, tenant_id, at, needed)
    rows = past_documents(one, tenant_id, at, needed)
    return one.complete(rows, tenant_id) if one.complete else rows


def past_documents(one: Recorded, tenant_id: int, at: datetime, needed: Needed) -> Sql:
    later = later_changes(tenant_id, [one.object], at)
    if (keys := needed.get(one.primary_key)) is not None:
        later = sql("{later} AND {is_needed}", later=later, is_needed=is_one_of("later", "key", keys))
    return sql(
        "SELECT present.* FROM {table} AS present WHERE present.tenant_id = {tenant}{is_needed}"
        " AND NOT EXISTS (SELECT FROM journal_change AS later WHERE {later} AND later.key = present.{key})"
        " UNION ALL SELECT former.* FROM ("
        "SELECT later.key, (array_agg(later.kind ORDER BY later.id))[1] AS kind,"
        # the earliest change comes last, and of members of the same name the last one is kept
        " jsonb_object_agg(part.key, part.value ORDER BY later.id DESC) FILTER (WHERE part.key IS NOT NULL)"
        " AS before FROM journal_change AS later LEFT JOIN LATERAL jsonb_each(later.before) AS part ON TRUE"
        " WHERE {later} GROUP BY later.key"
        ") AS later LEFT JOIN {table} AS present"
        " ON present.tenant_id = {tenant} AND present.{key} = later.key"
        " CROSS JOIN LATERAL jsonb_populate_record(present, coalesce(later.before, '{{}}'::jsonb)"
        " || jsonb_build_object('{key_name}', later.key, 'tenant_id', {tenant}::bigint)) AS former"
        " WHERE later.kind <> 'created'",
        table=identifier(one.table),
        tenant=param(tenant_id),
        key=identifier(one.primary_key),
        key_name=identifier(one.primary_key),
        later=later,
        is_needed=and_needed("present", needed),
    )


def later_changes(tenant_id: int, objects: Iterable[str], at: datetime) -> Sql:
    """Return the condition on `later`, a row of the journal."""
    return sql(
        "later.tenant_id = {tenant} AND later.object = ANY({objects}) AND later.at > {at}",
        tenant=param(tenant_id),
        objects=param(list(objects), "text[]"),
        at=param(at),
    )


def past_assignments(one: RecordedAssignments, tenant_id: int, at: datetime, needed: Needed) -> Sql:
    """As `past_rows`. The keys of former rows are negative numbers, the same whenever they are read.

    Each column of a former row is an expression of its own, so that a statement which cuts a page by keys
    computes nothing else of the rows beside it.
    """
    entity = one.legal_entity
    same_entity = (
        sql(" AND touched.legal_entity_id IS NOT DISTINCT FROM present.{entity}", entity=identifier(entity))
        if entity
        else Sql("")
    )
    object_of_present = sql(
        "CASE {whens} END",
        whens=Sql.joined(
            " ",
            [
                sql(
                    "WHEN present.{column} IS NOT NULL THEN {name}",
                    column=identifier(column),
                    name=param(name, "text"),
                )
                for name, column in one.members.items()
            ],
        ),
    )
    members = Sql.joined(
        ", ", [sql("present.{name}", name=identifier(name)) for name in one.members.values()]
    )
    fields = one.model._meta.concrete_fields
    return sql(
        "WITH touched AS MATERIALIZED ({touched})"
        " SELECT {present} FROM {table} AS present WHERE present.tenant_id = {tenant}{is_needed}"
        " AND NOT EXISTS (SELECT FROM touched WHERE touched.object = {object_of_present}"
        " AND touched.key = present.{owner} AND touched.member = coalesce({members}){same_entity})"
        " UNION ALL SELECT {former} FROM touched WHERE touched.kind <> 'created'",
        touched=touched_assignments(one, tenant_id, at, needed),
        present=Sql.joined(", ", [identifier("present", field.column) for field in fields]),
        table=identifier(one.table),
        tenant=param(tenant_id),
        is_needed=and_needed("present", needed),
        object_of_present=object_of_present,
        owner=identifier(one.owner),
        members=members,
        same_entity=same_entity,
        former=Sql.joined(", ", [former_value(one, tenant_id, field) for field in fields]),
    )


KEY_OF_FORMER = Sql(
    "-1 - abs(hashtextextended(concat_ws('/', touched.object, touched.key, touched.member,"
    " touched.legal_entity_id), 0) / 2)"
)


def former_value(one: RecordedAssignments, tenant_id: int, field: models.Field) -> Sql:
    """The value of a column of an assignment as `touched` has it: where it belongs, or from `row`."""
    column = field.column
    if column == one.primary_key:
        return KEY_OF_FORMER
    if column == "tenant_id":
        return param(tenant_id, "bigint")
    if column == one.owner:
        return Sql("touched.key")
    if column == one.legal_entity:
        return Sql("touched.legal_entity_id")
    for name, member in one.members.items():
        if column == member:
            return sql("CASE WHEN touched.object = {name} THEN touched.member END", name=param(name, "text"))
    kind = (field.db_type(connection) or "").partition("(")[0]
    arrow = "->" if kind == "jsonb" else "->>"
    value = sql(
        "(touched.row {arrow} {name})::{kind}", arrow=Sql(arrow), name=param(column, "text"), kind=Sql(kind)
    )
    plain = plain_value(one.model, column)
    if plain in (None, NOT_PROVIDED):
        return value
    if isinstance(plain, dict | list):
        plain = orjson.dumps(plain).decode()
    return sql(
        "CASE WHEN touched.row ? {name} THEN {value} ELSE {plain} END",
        name=param(column, "text"),
        value=value,
        plain=param(plain, kind),
    )


def touched_assignments(one: RecordedAssignments, tenant_id: int, at: datetime, needed: Needed) -> Sql:
    """Return a SELECT of the first change of each member since `at`, with the member's row before it.

    Of members whose keys are needed only, the changes are looked up by the member.
    """
    member_columns = set(one.members.values())
    member_keys = [keys for column, keys in needed.items() if column in member_columns]
    conditions = [later_changes(tenant_id, one.members, at)]
    if one.owner in needed:
        conditions.append(is_one_of("later", "key", needed[one.owner]))
    condition = Sql.joined(" AND ", conditions)
    if member_keys:
        [keys] = member_keys
        changes = sql(
            "SELECT later.*, member.key AS member, entry.row FROM unnest({keys}) AS member (key)"
            # OFFSET keeps the planner from any other index than that of members
            " CROSS JOIN LATERAL (SELECT held.* FROM journal_change AS held WHERE {holds} OFFSET 0) AS later"
            " CROSS JOIN LATERAL ({entries}) AS entry WHERE {condition} AND entry.keys @> member.key",
            keys=param(list(keys), "bigint[]"),
            holds=holds("held", Sql("member.key")),
            entries=Sql(ENTRIES),
            condition=condition,
        )
    else:  # sets of keys in the list of columns: as items of FROM they take three times as long
        changes = sql(
            "SELECT span.*, generate_series(lower(span.keys), upper(span.keys) - 1) AS member FROM ("
            "SELECT {columns}, NULL::jsonb AS row, unnest(later.keys) AS keys FROM journal_change AS later"
            " WHERE {condition} AND later.before IS NULL"
            " UNION ALL SELECT {columns}, part.value, unnest((part.value ->> 'keys')::int8multirange)"
            " FROM journal_change AS later CROSS JOIN LATERAL jsonb_array_elements(later.before) AS part"
            " WHERE {condition}) AS span",
            columns=Sql("later.id, later.object, later.key, later.legal_entity_id, later.kind"),
            condition=condition,
        )
    identity = [
        *(["object"] if len(one.members) > 1 else []),
        "key",
        *(["legal_entity_id"] if one.legal_entity else []),
        "member",
    ]
    return sql(
        "SELECT DISTINCT ON ({identity}) change.object, change.key, change.legal_entity_id, change.member,"
        " change.kind, change.row FROM ({changes}) AS change ORDER BY {identity}, change.id",
        identity=Sql.joined(", ", [identifier("change", name) for name in identity]),
        changes=changes,
    )


def is_one_of(alias: str, column: str, keys: Sequence[int]) -> Sql:
    return sql("{column} = ANY({keys})", column=identifier(alias, column), keys=param(list(keys), "bigint[]"))


def and_needed(alias: str, needed: Needed) -> Sql:
    """Return the further condition that a row is needed; empty when all are."""
    conditions = [is_one_of(alias, column, keys) for column, keys in needed.items()]
    return Sql.joined("", [sql(" AND {condition}", condition=each) for each in conditions])


def plain_row(one: RecordedAssignments) -> Mapping[str, object]:
    """Return the attributes that the journal leaves out of a plain row."""
    values = {name: plain_value(one.model, name) for name in one.attributes}
    return {name: value for name, value in values.items() if value not in (None, NOT_PROVIDED)}
