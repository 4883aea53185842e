"""How a batch of assignments, of customers or of items, is upserted."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from django.db import transaction

from core.errors import DomainError
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from core.sql.upserts import BatchPlan, RowResult
from segments.bodies import AssignmentBody, WireIds
from segments.errors import SegmentNotFound
from segments.operations.assignment_statements import AssignmentStatements
from segments.operations.batches import accepted_rows

Row = TypeVar("Row", bound=AssignmentBody)
Refusal = Callable[[Row, Sequence[int | None]], DomainError]


def upsert_batch(
    statements: AssignmentStatements,
    rows: Sequence[Row | DomainError],
    *,
    at: datetime,
    refusal: Refusal[Row],
) -> list[RowResult]:
    """Create or replace assignments to one segment and report every row, in order.

    Rows of the same wire ids act one after the other. What is not written, because it names what does not
    exist or what may not be assigned, is refused with the `refusal` for the row and the keys that were found
    for its wire ids, and spoils no other. Raises SegmentNotFound. Takes one statement, and one more when a
    row expects a version, whatever the number of rows.
    """
    plan: BatchPlan[WireIds, Row] = BatchPlan()
    accepted = list(accepted_rows(rows, plan))
    if all(row.expected_version is None for _, row in accepted):
        plan.add_all((position, row.wire_ids, row) for position, row in accepted)
        return write_planned(statements, plan, at=at, refusal=refusal)
    with transaction.atomic():
        versions = statements.lock_versions(list({row.wire_ids for _, row in accepted}))
        for position, row in accepted:
            plan.add(
                position,
                row.wire_ids,
                row,
                stored_version=versions.get(row.wire_ids),
                expected_version=row.expected_version,
            )
        return write_planned(statements, plan, at=at, refusal=refusal)


def write_planned(
    statements: AssignmentStatements, plan: BatchPlan[WireIds, Row], *, at: datetime, refusal: Refusal[Row]
) -> list[RowResult]:
    """Write the rows of the plan and report every row of the batch."""
    if not plan.rows:
        held_segment(statements.tenant_id, statements.segment_id)
        return plan.results
    values = statements.kind.columns.read(list(plan.rows.values()), created_at=at, modified_at=at)
    found = statements.write(list(plan.rows), values, list(plan.writes.values()))
    plan.record_in_order(
        refusal(row, result[1:]) if result[0] is None else result[0]
        for row, result in zip(plan.rows.values(), found, strict=True)
    )
    return plan.results


def held_segment(tenant_id: int, segment_id: str) -> int:
    """Return the segment's key and keep it from being deleted until the transaction ends.

    Raises SegmentNotFound.
    """
    rows = fetch_rows(
        sql(
            "SELECT id FROM segments_segment WHERE tenant_id = {tenant} AND external_id = {id} FOR KEY SHARE",
            tenant=param(tenant_id),
            id=param(segment_id),
        )
    )
    if not rows:
        raise SegmentNotFound(resource_id=segment_id)
    return rows[0][0]
