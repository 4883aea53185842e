"""Chosen members or items of segments: copied or moved to another segment, or given another window."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import F, QuerySet

from core.errors import InvalidInput
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows
from segments.errors import SegmentNotFound
from segments.models import CustomerAssignment, ItemAssignment, Segment
from segments.operations.removals import remove_assignments

MOST_CHOSEN: Final = 100_000

Assignments = QuerySet[CustomerAssignment] | QuerySet[ItemAssignment]


class TooManyChosen(InvalidInput):
    """More assignments are chosen than one transaction writes."""

    code = "too_many_chosen"


def chosen_keys(assignments: Assignments) -> list[int]:
    """Return the keys of the assignments; raise TooManyChosen for more than 100,000."""
    keys = list(assignments.order_by().values_list("pk", flat=True)[: MOST_CHOSEN + 1])
    if len(keys) > MOST_CHOSEN:
        raise TooManyChosen(
            f"More than {MOST_CHOSEN:,} are chosen. Choose fewer, or combine whole segments instead."
        )
    return keys


@transaction.atomic
def copy_assignments(*, assignments: Assignments, target: Segment, at: datetime) -> int:
    """Add the members or items to the target with their windows, and return how many were not in it yet.

    They are of the target's tenant. Locks what they name and then the target, as any assignment does; those
    whose customer, company or item is gone by then are left out. Raises TooManyChosen and SegmentNotFound.
    """
    return _copy(assignments, chosen_keys(assignments), target, at)


@transaction.atomic
def move_assignments(*, assignments: Assignments, target: Segment, at: datetime) -> tuple[int, int]:
    """Copy the members or items to the target and remove them where they were; return both numbers.

    Those that are in the target already stay as they are. Raises as `copy_assignments` does.
    """
    keys = chosen_keys(assignments)
    added = _copy(assignments, keys, target, at)
    elsewhere = assignments.model._base_manager.filter(pk__in=keys).exclude(segment=target)
    return added, remove_assignments(assignments=elsewhere)


@transaction.atomic
def set_windows(
    *, assignments: Assignments, valid_from: datetime | None, valid_to: datetime | None, at: datetime
) -> int:
    """Give the members or items this window and return how many had another one.

    Locks them in the order of writers of several assignments. Raises TooManyChosen.
    """
    model = assignments.model
    item = (
        ("customer_id", "legal_entity_id") if model is CustomerAssignment else ("product_id", "category_id")
    )
    rows = (
        model._base_manager.filter(pk__in=chosen_keys(assignments))
        .order_by("segment_id", *item)
        .select_for_update(of=("self",), no_key=True)
        .values_list("pk", "valid_from", "valid_to")
    )
    changing = [key for key, *window in rows if window != [valid_from, valid_to]]
    return model._base_manager.filter(pk__in=changing).update(
        valid_from=valid_from, valid_to=valid_to, version=F("version") + 1, modified_at=at
    )


def _copy(assignments: Assignments, keys: Sequence[int], target: Segment, at: datetime) -> int:
    if assignments.model is CustomerAssignment:
        named = {"customer_id": "accounts_customer", "legal_entity_id": "accounts_legalentity"}
        own, value = Sql("assignment_type"), Sql("'MANUAL'")
    else:
        named = {"product_id": "catalog_product", "category_id": "catalog_category"}
        own, value = Sql("includes_subcategories"), Sql("chosen.includes_subcategories")
    first, second = named
    rows = fetch_rows(
        sql(
            "WITH chosen AS MATERIALIZED (SELECT * FROM {table} WHERE tenant_id = {tenant}"
            " AND id = ANY({keys})"
            "), one AS MATERIALIZED (SELECT id FROM {first_table} WHERE tenant_id = {tenant}"
            " AND id = ANY(ARRAY(SELECT {first} FROM chosen)) ORDER BY id FOR KEY SHARE"
            "), other AS MATERIALIZED (SELECT id FROM {second_table} WHERE tenant_id = {tenant}"
            " AND id = ANY(ARRAY(SELECT {second} FROM chosen)) AND (SELECT count(*) FROM one) >= 0"
            " ORDER BY id FOR KEY SHARE"
            "), target AS MATERIALIZED (SELECT id FROM segments_segment WHERE tenant_id = {tenant}"
            " AND id = {target} AND (SELECT count(*) FROM other) >= 0 FOR KEY SHARE"
            "), written AS (INSERT INTO {table} (tenant_id, segment_id, {first}, {second}, {own}, valid_from,"
            " valid_to, mixins, mixin_schemas, version, created_at, modified_at)"
            " SELECT chosen.tenant_id, target.id, chosen.{first}, chosen.{second}, {value},"
            " chosen.valid_from, chosen.valid_to, chosen.mixins, chosen.mixin_schemas, 1, {at}, {at}"
            " FROM chosen CROSS JOIN target"
            " WHERE (chosen.{first} IS NULL OR chosen.{first} IN (SELECT id FROM one))"
            " AND (chosen.{second} IS NULL OR chosen.{second} IN (SELECT id FROM other))"
            " ORDER BY chosen.{first}, chosen.{second} ON CONFLICT DO NOTHING RETURNING id)"
            " SELECT (SELECT count(*) FROM target), (SELECT count(*) FROM written)",
            table=identifier(assignments.model._meta.db_table),
            first=identifier(first),
            second=identifier(second),
            first_table=identifier(named[first]),
            second_table=identifier(named[second]),
            own=own,
            value=value,
            tenant=param(target.tenant_id),
            keys=param(list(keys), "bigint[]"),
            target=param(target.pk),
            at=param(at),
        )
    )
    [(targets, written)] = rows
    if not targets:
        raise SegmentNotFound("The segment that they would be added to has been deleted.")
    return int(written)
