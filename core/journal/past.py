"""Reads of the past: statements that read tables as they were at an instant.

`reading_past` puts a WITH before each statement that is fetched, whose members have the names of the tables
and hide them. A member is the present rows that the journal has not changed since, and the rows that it has
changed, as they were before the first of these changes. A table without later changes is read as it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import orjson
from django.db.models.fields import NOT_PROVIDED

from core.errors import InvalidInput
from core.journal.declarations import Recorded, RecordedAssignments, all_columns, recorded
from core.journal.models import Beginning
from core.journal.triggers import plain_value
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows, rewriting
from core.timestamps import format_time


def journal_beginning() -> datetime:
    """Return since when the journal knows every change."""
    return Beginning.objects.get().at


@contextmanager
def reading_past(tenant_id: int, at: datetime) -> Iterator[None]:
    """Have `fetch_rows` read the tenant's rows as they were at `at`.

    Raises InvalidInput, naming the beginning of the journal, for an instant before it.
    """
    beginning = journal_beginning()
    if at < beginning:
        raise InvalidInput(
            f"The history begins at {format_time(beginning)}; name that instant or a later one.",
            field="asOf",
        )
    changed = objects_changed_since(tenant_id, at)
    members = [
        sql("{table} AS NOT MATERIALIZED ({rows})", table=identifier(one.table), rows=rows)
        for one in recorded()
        if "tenant_id" in all_columns(one.model) and not changed.isdisjoint(objects_of(one))
        for rows in [past_rows(one, tenant_id, at)]
    ]
    with rewriting(partial(prefixed, Sql.joined(", ", members)) if members else None):
        yield


def prefixed(members: Sql, statement: Sql) -> Sql:
    return sql("WITH {members} SELECT * FROM ({statement}) AS past", members=members, statement=statement)


def objects_of(one: Recorded) -> Iterable[str]:
    return one.members if isinstance(one, RecordedAssignments) else (one.object,)


def objects_changed_since(tenant_id: int, at: datetime) -> set[str]:
    """Return what has changed since, by the names that the journal has for it."""
    statement = sql(
        "SELECT DISTINCT object FROM journal_change WHERE tenant_id = {tenant} AND at > {at}",
        tenant=param(tenant_id),
        at=param(at),
    )
    return {name for (name,) in fetch_rows(statement)}


def past_rows(one: Recorded, tenant_id: int, at: datetime) -> Sql:
    """Return a SELECT of the rows of a table, with its columns, as they were at `at`."""
    if isinstance(one, RecordedAssignments):
        return past_assignments(one, tenant_id, at)
    rows = past_documents(one, tenant_id, at)
    return one.complete(rows, tenant_id) if one.complete else rows


def past_documents(one: Recorded, tenant_id: int, at: datetime) -> Sql:
    return sql(
        "SELECT present.* FROM {table} AS present WHERE present.tenant_id = {tenant}"
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
        later=later_changes(tenant_id, [one.object], at),
    )


def later_changes(tenant_id: int, objects: Iterable[str], at: datetime) -> Sql:
    """Return the condition on `later`, a row of the journal."""
    return sql(
        "later.tenant_id = {tenant} AND later.object = ANY({objects}) AND later.at > {at}",
        tenant=param(tenant_id),
        objects=param(list(objects), "text[]"),
        at=param(at),
    )


def past_assignments(one: RecordedAssignments, tenant_id: int, at: datetime) -> Sql:
    """As `past_rows`. The keys of former rows are negative numbers, the same whenever they are read."""
    entity = one.legal_entity
    same_entity = (
        sql(" AND later.legal_entity_id IS NOT DISTINCT FROM present.{entity}", entity=identifier(entity))
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
    filled = Sql.joined(
        " || ",
        [
            sql(
                "CASE WHEN first.object = {name} THEN jsonb_build_object({column}, first.member)"
                " ELSE '{{}}'::jsonb END",
                name=param(name),
                column=param(column, "text"),
            )
            for name, column in one.members.items()
        ],
    )
    return sql(
        "SELECT present.* FROM {table} AS present WHERE present.tenant_id = {tenant}"
        " AND NOT EXISTS (SELECT FROM journal_change AS later"
        " WHERE later.tenant_id = {tenant} AND later.object = {object_of_present} AND later.at > {at}"
        " AND later.keys IS NOT NULL AND int8range(later.key, later.key, '[]') @> present.{owner}"
        " AND later.key = present.{owner} AND later.keys @> coalesce({members}){same_entity})"
        " UNION ALL SELECT former.* FROM ("
        "SELECT DISTINCT ON (later.object, later.key, later.legal_entity_id, member.key) later.object,"
        " later.key, later.legal_entity_id, member.key AS member, later.kind, entry.row"
        " FROM journal_change AS later CROSS JOIN LATERAL ("
        # a created row says nothing of how it was; the entries of others divide their keys
        "SELECT later.keys AS keys, NULL::jsonb AS row WHERE later.before IS NULL"
        " UNION ALL SELECT (part.value ->> 'keys')::int8multirange, part.value"
        " FROM jsonb_array_elements(later.before) AS part) AS entry"
        " CROSS JOIN LATERAL unnest(entry.keys) AS span"
        " CROSS JOIN LATERAL generate_series(lower(span), upper(span) - 1) AS member (key)"
        " WHERE {later} ORDER BY later.object, later.key, later.legal_entity_id, member.key, later.id"
        ") AS first CROSS JOIN LATERAL jsonb_populate_record(NULL::{table}, {plain} || (first.row - 'keys')"
        " || {filled} || jsonb_strip_nulls(jsonb_build_object('tenant_id', {tenant}::bigint,"
        " {owner_name}, first.key{entity}, 'id', -1 - abs(hashtextextended(concat_ws('/',"
        " first.object, first.key, first.member, first.legal_entity_id), 0) / 2)))) AS former"
        " WHERE first.kind <> 'created'",
        table=identifier(one.table),
        tenant=param(tenant_id),
        at=param(at),
        object_of_present=object_of_present,
        owner=identifier(one.owner),
        owner_name=param(one.owner, "text"),
        members=members,
        same_entity=same_entity,
        later=later_changes(tenant_id, one.members, at),
        plain=param(orjson.dumps(plain_row(one)).decode(), "jsonb"),
        filled=filled,
        entity=sql(", {name}, first.legal_entity_id", name=param(entity, "text")) if entity else Sql(""),
    )


def plain_row(one: RecordedAssignments) -> Mapping[str, object]:
    """Return the attributes that the journal leaves out of a plain row."""
    values = {name: plain_value(one.model, name) for name in one.attributes}
    return {name: value for name, value in values.items() if value not in (None, NOT_PROVIDED)}
