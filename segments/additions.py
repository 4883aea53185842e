"""Who added members and items to a segment, and on what occasion, as the journal knows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import models
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from core.journal.lookups import holds
from core.sql.composition import Sql, bind, identifier, param, sql
from core.sql.fetching import fetch_rows
from segments.models import CustomerAssignment, ItemAssignment

NEWEST_CHANGES: Final = 1_000
MOST_CHOICES: Final = 50
FEW_KEYS: Final = 1_000
NAMELESS: Final = frozenset(
    {"request", "admin", "filter", "undo", "undo-import", "evaluation", "changes", ""}
)
"""Occasions that are distinguished by their kind only: each request has its own id."""

Assignments = QuerySet[CustomerAssignment] | QuerySet[ItemAssignment]


@dataclass(frozen=True, slots=True)
class Addition:
    """Who added something and on what occasion, as `core.actors.Actor` says it."""

    actor_type: str
    actor_id: str
    actor_name: str
    source_type: str
    source_id: str
    at: datetime | None = None

    @property
    def import_key(self) -> int | None:
        """The key of the import that added it, if one did."""
        is_import = self.source_type == "import" and self.source_id.isdecimal()
        return int(self.source_id) if is_import else None


def objects_of(model: type[models.Model]) -> dict[str, str]:
    """Return the journal's objects of the model's rows, each with the column of its keys."""
    if model is CustomerAssignment:
        return {"segment-customer": "customer_id"}
    return {"segment-product": "product_id", "segment-category": "category_id"}


def recent_additions(model: type[models.Model], tenant_id: int, segment_id: int) -> list[Addition]:
    """Return who added something lately and on what occasion, each pair once, newest first."""
    rows = fetch_rows(
        bind(
            "SELECT actor_type, actor_id, max(actor_name), source_type,"
            " CASE WHEN source_type = ANY({nameless}) THEN '' ELSE source_id END FROM ("
            "SELECT * FROM journal_change WHERE tenant_id = {tenant} AND object = ANY({objects})"
            " AND key = {segment} AND kind = 'created' ORDER BY id DESC LIMIT {newest}) AS change"
            " GROUP BY 1, 2, 4, 5 ORDER BY max(id) DESC LIMIT {most}",
            nameless=list(NAMELESS),
            tenant=tenant_id,
            objects=list(objects_of(model)),
            segment=segment_id,
            newest=NEWEST_CHANGES,
            most=MOST_CHOICES,
        )
    )
    return [Addition(*row) for row in rows]


def added_by(actor_type: str, actor_id: str) -> Sql:
    """The condition that an actor made the row `change` of the journal."""
    return bind("change.actor_type = {type} AND change.actor_id = {id}", type=actor_type, id=actor_id)


def added_on(source_type: str, source_id: str) -> Sql:
    """The condition that the row `change` was written on an occasion; without an id on any of this type."""
    if not source_id:
        return bind("change.source_type = {type}", type=source_type)
    return bind("change.source_type = {type} AND change.source_id = {id}", type=source_type, id=source_id)


def keep_added(assignments: Assignments, *, tenant_id: int, segment_id: int, chosen: Sql) -> Assignments:
    """Keep the members or items of one segment whose last addition satisfies a condition on `change`.

    Few keys are looked up by an index; of many a set is made first, in the same statement.
    """
    model = assignments.model
    table = model._meta.db_table
    ways = []
    for name, column in objects_of(model).items():
        made = sql(
            "change.tenant_id = {tenant} AND change.object = {object} AND change.key = {segment}"
            " AND change.kind = 'created'",
            tenant=param(tenant_id),
            object=param(name),
            segment=param(segment_id),
        )
        [(count,)] = fetch_rows(
            sql(
                "SELECT coalesce(sum(change.count), 0) FROM journal_change AS change"
                " WHERE {made} AND {chosen}",
                made=made,
                chosen=chosen,
            )
        )
        if not count:
            continue
        member = identifier(table, column)
        keys = (
            "{member} IN (SELECT generate_series(lower(span), upper(span) - 1) FROM journal_change AS change"
            " CROSS JOIN unnest(change.keys) AS span WHERE {made} AND {chosen})"
            if count <= FEW_KEYS
            else "{member} <@ (SELECT range_agg(change.keys) FROM journal_change AS change"
            " WHERE {made} AND {chosen})"
        )
        company = (
            sql(
                " AND change.legal_entity_id IS NOT DISTINCT FROM {own}",
                own=identifier(table, "legal_entity_id"),
            )
            if model is CustomerAssignment
            else Sql("")
        )
        ways.append(
            sql(
                "({keys} AND coalesce((WITH held AS MATERIALIZED (SELECT * FROM journal_change AS change"
                " WHERE {holds}) SELECT {chosen} FROM held AS change WHERE {made}{company}"
                " ORDER BY change.id DESC LIMIT 1), FALSE))",
                keys=sql(keys, member=member, made=made, chosen=chosen),
                chosen=chosen,
                holds=holds("change", member),
                made=made,
                company=company,
            )
        )
    if not ways:
        return assignments.none()
    condition = Sql.joined(" OR ", ways)
    kept = RawSQL(  # noqa: S611 -- texts of clients are parameters
        f"({condition.sql})", condition.params, output_field=BooleanField()
    )
    return assignments.filter(kept)


def additions_of(rows: Sequence[CustomerAssignment | ItemAssignment]) -> dict[int, Addition]:
    """Return who added each of the members or items last, and on what occasion, by their keys.

    In one statement. What was added before the journal began is left out.
    """
    if not rows:
        return {}
    model = type(rows[0])
    named = [
        (row.pk, row.tenant_id, row.segment_id, name, getattr(row, column), company_of(row))
        for row in rows
        for name, column in objects_of(model).items()
        if getattr(row, column) is not None
    ]
    types = ("bigint[]", "bigint[]", "bigint[]", "text[]", "bigint[]", "bigint[]")
    columns = zip(*named, strict=True)
    found = fetch_rows(
        sql(
            "SELECT given.id, last.* FROM unnest({given})"
            " AS given (id, tenant_id, segment_id, object, member, company)"
            " CROSS JOIN LATERAL (WITH held AS MATERIALIZED (SELECT * FROM journal_change AS change"
            " WHERE {holds}) SELECT change.actor_type, change.actor_id, change.actor_name,"
            " change.source_type, change.source_id, change.at FROM held AS change"
            " WHERE change.tenant_id = given.tenant_id AND change.object = given.object"
            " AND change.key = given.segment_id AND change.kind = 'created'"
            " AND change.legal_entity_id IS NOT DISTINCT FROM given.company"
            " ORDER BY change.id DESC LIMIT 1) AS last",
            given=Sql.joined(
                ", ", [param(list(column), kind) for column, kind in zip(columns, types, strict=True)]
            ),
            holds=holds("change", Sql("given.member")),
        )
    )
    return {key: Addition(*values) for key, *values in found}


def company_of(row: object) -> int | None:
    company: int | None = getattr(row, "legal_entity_id", None)
    return company
