"""Writes of item assignments: one set-based path for a single row, a bulk of the API, and a file."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from django.db import transaction

from core.errors import DomainError, InvalidInput
from core.sql.composition import Sql, identifier, param, sql
from core.sql.fetching import fetch_rows
from core.sql.upserts import BatchPlan, RowResult, UpsertTarget, only_outcome
from segments.bodies import ItemAssignmentBody
from segments.errors import UnknownItem
from segments.models import ItemAssignment
from segments.operations.assignments import (
    AssignmentKind,
    AssignmentStatements,
    Reference,
    upsert_batch,
)

ItemRow = TypeVar("ItemRow", bound=ItemAssignmentBody)
NO_SUBCATEGORIES = "A product has no subcategories."
ITEM_ASSIGNMENTS = UpsertTarget.of(ItemAssignment, "tenant_id", "segment_id", "product_id", "category_id")


class ItemType(StrEnum):
    """What an item is."""

    PRODUCT = "PRODUCT"
    CATEGORY = "CATEGORY"

    @property
    def column(self) -> str:
        """The column of the assignment that holds the item's key."""
        return "product_id" if self is ItemType.PRODUCT else "category_id"

    @property
    def items(self) -> Sql:
        """The table of the items, as FROM ... AS item WHERE. A hidden root category is no item."""
        if self is ItemType.PRODUCT:
            return Sql("catalog_product AS item WHERE")
        return Sql("catalog_category AS item WHERE item.parent_id IS NOT NULL AND")


ITEMS = {
    item_type: AssignmentKind(
        model=ItemAssignment,
        target=ITEM_ASSIGNMENTS,
        body=ItemAssignmentBody,
        references=(Reference("item", item_type.column, item_type.items),),
    )
    for item_type in ItemType
}


def upsert_item_assignments(
    *,
    tenant_id: int,
    segment_id: str,
    item_type: ItemType,
    rows: Sequence[ItemAssignmentBody | DomainError],
    at: datetime,
) -> list[RowResult]:
    """Create or replace assignments of items to one segment and report every row, in order.

    Rows of the same item act one after the other. Refused, without spoiling any other, are rows that name
    an unknown item, subcategories of a product, or another version than the stored one. Raises
    SegmentNotFound. Takes one statement, and one more when a row expects a version, whatever the number of
    rows.
    """

    def refusal(row: ItemAssignmentBody, keys: Sequence[int | None]) -> DomainError:
        return UnknownItem(item_type, row.id)

    statements = AssignmentStatements(kind=ITEMS[item_type], tenant_id=tenant_id, segment_id=segment_id)
    return upsert_batch(statements, checked_items(rows, [item_type] * len(rows)), at=at, refusal=refusal)


def checked_items(
    rows: Sequence[ItemRow | DomainError], types: Sequence[object]
) -> list[ItemRow | DomainError]:
    """Return the rows, each of a type; an error in place of products whose subcategories are to count."""
    checked: list[ItemRow | DomainError] = []
    for row, item_type in zip(rows, types, strict=True):
        if item_type == ItemType.PRODUCT and not isinstance(row, DomainError) and row.includes_subcategories:
            checked.append(InvalidInput(NO_SUBCATEGORIES, field="includeSubcategories"))
        else:
            checked.append(row)
    return checked


def locked_version(*, tenant_id: int, segment_id: str, item_type: ItemType, item_id: str) -> int | None:
    """Lock the assignment until commit and return its version; None when there is none."""
    statements = AssignmentStatements(kind=ITEMS[item_type], tenant_id=tenant_id, segment_id=segment_id)
    return statements.lock_versions([(item_id,)]).get((item_id,))


def upsert_item_assignment(
    *, tenant_id: int, segment_id: str, item_type: ItemType, row: ItemAssignmentBody, at: datetime
) -> bool:
    """Create or replace one assignment; say whether it was created. Raises what bulk rows are refused for."""
    outcomes = upsert_item_assignments(
        tenant_id=tenant_id, segment_id=segment_id, item_type=item_type, rows=[row], at=at
    )
    return only_outcome(outcomes).created


@transaction.atomic
def delete_item_assignments(
    *, tenant_id: int, segment_id: str, item_type: ItemType, item_ids: Sequence[str | DomainError]
) -> list[RowResult]:
    """Delete assignments of items to one segment and report every row, in order, in one statement.

    What does not exist, the segment included, counts as deleted.
    """
    plan: BatchPlan[str, str] = BatchPlan()
    accepted = plan.accepted(item_ids)
    named = list({item_id for _, item_id in accepted})
    if named:
        fetch_rows(
            sql(
                "WITH doomed AS ("
                " SELECT id FROM segments_itemassignment WHERE tenant_id = {tenant} AND segment_id ="
                " (SELECT id FROM segments_segment WHERE tenant_id = {tenant} AND external_id = {segment})"
                " AND {column} IN (SELECT item.id FROM {items}"
                " item.tenant_id = {tenant} AND item.external_id = ANY({ids}))"
                " ORDER BY {column} FOR UPDATE"
                ") DELETE FROM segments_itemassignment WHERE id IN (SELECT id FROM doomed) RETURNING id",
                tenant=param(tenant_id),
                segment=param(segment_id),
                column=identifier(item_type.column),
                items=item_type.items,
                ids=param(named, "text[]"),
            )
        )
    deleted = [RowResult(position) for position, _ in accepted]
    return sorted([*plan.results, *deleted], key=lambda outcome: outcome.position)


def delete_item_assignment(*, tenant_id: int, segment_id: str, item_type: ItemType, item_id: str) -> None:
    """Delete one assignment, if it exists."""
    only_outcome(
        delete_item_assignments(
            tenant_id=tenant_id, segment_id=segment_id, item_type=item_type, item_ids=[item_id]
        )
    )
