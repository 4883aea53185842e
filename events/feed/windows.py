"""Events for the instants at which windows of segments open and close, each exactly once.

A boundary is due when it passes, also when no worker ran at that time. It has an event if the window was what
it is before the boundary came; a window that is moved into the past is a change of the segment and no more.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from core.representation.fields import Nested, Text, Time
from core.sql.composition import Sql, identifier, param, sql
from events.feed.sources import ALL_LANGUAGES
from segments.representations import validity

LONGEST_TRANSACTION = timedelta(days=1)
PAYLOAD = {
    "object": Text("'segment'"),
    "segmentId": Text("segment.external_id"),
    "siteCode": Text("site.code"),
    "status": Text("segment.status"),
    "at": Time("due.boundary"),
    "validity": validity("segment"),
    "tenant": Text("tenant.name"),
}
# Both ends belong to the window: it closes behind its last instant.
BOUNDARIES = {
    "segment.window-opened": ("valid_from", "{since} < segment.valid_from AND segment.valid_from <= {until}"),
    "segment.window-closed": ("valid_to", "{since} <= segment.valid_to AND segment.valid_to < {until}"),
}


def boundaries_due(position: str, until: Sql) -> Sql:
    """An expression: the first instant at which a window of a tenant opened or closed and that is due."""
    return sql(
        "least({instants})",
        instants=Sql.joined(
            ", ",
            [
                sql(
                    "(SELECT min(segment.{column}) FROM segments_segment AS segment"
                    " WHERE segment.tenant_id = {tenant} AND {is_due})",
                    column=identifier(column),
                    tenant=identifier(position, "tenant_id"),
                    is_due=sql(condition, since=identifier(position, "windows_until"), until=until),
                )
                for column, condition in BOUNDARIES.values()
            ],
        ),
    )


def boundaries(tenant_id: int, types: Collection[str], *, since: datetime, until: datetime) -> Sql:
    """Return the SELECT of the events of all boundaries from `since` to `until`; see `reader.add_events`."""
    return boundary_events(tenant_id, types, Sql("TRUE"), since=since, until=until)


def late_boundaries(
    tenant_id: int, types: Collection[str], keys: Collection[int], *, since: datetime, until: datetime
) -> Sql:
    """Return the same for segments that were written before a boundary and committed behind it."""
    condition = sql("segment.id = ANY({keys})", keys=param(list(keys), "bigint[]"))
    return boundary_events(
        tenant_id, types, condition, since=max(since, until - LONGEST_TRANSACTION), until=until
    )


def boundary_events(
    tenant_id: int, types: Collection[str], condition: Sql, *, since: datetime, until: datetime
) -> Sql:
    due = [
        sql(
            "SELECT {name} AS type, {column} AS column_name, segment.id, segment.{boundary} AS boundary"
            " FROM segments_segment AS segment"
            " WHERE segment.tenant_id = {tenant} AND {condition} AND {is_due}",
            name=param(name, "text"),
            column=param(column, "text"),
            boundary=identifier(column),
            tenant=param(tenant_id),
            condition=condition,
            is_due=sql(text, since=param(since, "timestamptz"), until=param(until, "timestamptz")),
        )
        for name, (column, text) in BOUNDARIES.items()
        if name in types
    ]
    return sql(
        "SELECT due.type, 'segment ' || segment.external_id AS order_key, ({payload})::jsonb AS payload,"
        " '' AS customer, due.boundary AS at, NULL::xid8 AS tx, NULL::bigint AS change_id, 0 AS part,"
        " due.type || ' ' || segment.id || ' ' || extract(epoch FROM due.boundary) AS origin"
        " FROM ({due}) AS due JOIN segments_segment AS segment ON segment.id = due.id"
        " JOIN tenancy_tenant AS tenant ON tenant.id = segment.tenant_id"
        " LEFT JOIN accounts_site AS site"
        " ON site.tenant_id = segment.tenant_id AND site.id = segment.site_id"
        " WHERE NOT EXISTS (SELECT FROM journal_change AS change WHERE change.tenant_id = segment.tenant_id"
        " AND change.object = 'segment' AND change.key = segment.id AND change.at >= due.boundary"
        " AND jsonb_exists(change.after, due.column_name)) ORDER BY due.boundary, segment.id",
        payload=Nested(PAYLOAD).json(ALL_LANGUAGES),
        due=Sql.joined(" UNION ALL ", due),
    )
