"""Writes of item assignments: one set-based path for a single row, a bulk of the API, and a file.

Order of locks: the items, the segment, then its assignments in the order of their items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db import transaction

from core.api.sql import Sql, fetch_rows
from core.errors import DomainError, InvalidInput
from core.upserts import Outcome, Plan, UpsertTarget, upsert_rows
from segments.errors import UnknownItem
from segments.operations.assignments import COLUMNS, AssignmentRow, held_segment
from segments.operations.batches import accepted_rows, only_outcome

ITEM_ASSIGNMENTS = UpsertTarget(
    table="segments_itemassignment",
    key=("tenant_id", "segment_id", "product_id", "category_id"),
    columns={
        "tenant_id": "bigint",
        "segment_id": "bigint",
        "product_id": "bigint",
        "category_id": "bigint",
        "includes_subcategories": "boolean",
        **COLUMNS,
    },
    created_only=frozenset({"created_at"}),
)


class ItemType(StrEnum):
    """What an item is."""

    PRODUCT = "PRODUCT"
    CATEGORY = "CATEGORY"

    @property
    def column(self) -> str:
        """The column of the assignment that holds the item's key."""
        return "product_id" if self is ItemType.PRODUCT else "category_id"

    @property
    def items(self) -> str:
        """The table of the items, as FROM ... AS item WHERE. A hidden root category is no item."""
        if self is ItemType.PRODUCT:
            return "catalog_product AS item WHERE"
        return "catalog_category AS item WHERE item.parent_id IS NOT NULL AND"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow(AssignmentRow):
    """A whole item assignment as it shall be; the item by its wire id."""

    item_id: str
    includes_subcategories: bool = False


@transaction.atomic
def upsert_item_assignments(
    *,
    tenant_id: int,
    segment_id: str,
    item_type: ItemType,
    rows: Sequence[ItemRow | DomainError],
    at: datetime,
) -> list[Outcome]:
    """Create or replace assignments of items to one segment and report every row, in order.

    Rows of the same item act one after the other. Refused, without spoiling any other, are rows that name
    an unknown item, subcategories of a product, or another version than the stored one. Raises
    SegmentNotFound. Takes three statements, and one more when a row expects a version, whatever the number
    of rows.
    """
    plan: Plan[int, ItemRow] = Plan()
    accepted = list(accepted_rows(rows, plan))
    keys = item_keys(tenant_id, item_type, {row.item_id for _, row in accepted})
    segment = held_segment(tenant_id, segment_id)
    versions: dict[int, int] = {}
    if any(row.expected_version is not None for _, row in accepted):
        versions = locked_versions(tenant_id, segment, item_type, list(keys.values()))
    for position, row in accepted:
        key = keys.get(row.item_id)
        if key is None:
            plan.refuse(position, UnknownItem(item_type, row.item_id))
        elif row.includes_subcategories and item_type is ItemType.PRODUCT:
            plan.refuse(
                position, InvalidInput("A product has no subcategories.", field="includeSubcategories")
            )
        else:
            plan.accept(
                position,
                key,
                row,
                stored_version=versions.get(key),
                expected_version=row.expected_version,
            )
    is_product = item_type is ItemType.PRODUCT
    written = upsert_rows(
        ITEM_ASSIGNMENTS,
        (
            (
                (
                    tenant_id,
                    segment,
                    key if is_product else None,
                    None if is_product else key,
                    row.includes_subcategories,
                    *row.stored_values(at),
                ),
                plan.writes[key],
            )
            for key, row in plan.rows.items()
        ),
    )
    plan.settle({product or category: result for (_, _, product, category), result in written.items()})
    return plan.outcomes


def upsert_item_assignment(
    *, tenant_id: int, segment_id: str, item_type: ItemType, row: ItemRow, at: datetime
) -> bool:
    """Create or replace one assignment; say whether it was created. Raises what bulk rows are refused for."""
    outcomes = upsert_item_assignments(
        tenant_id=tenant_id, segment_id=segment_id, item_type=item_type, rows=[row], at=at
    )
    return only_outcome(outcomes).created


@transaction.atomic
def delete_item_assignments(
    *, tenant_id: int, segment_id: str, item_type: ItemType, item_ids: Sequence[str | DomainError]
) -> list[Outcome]:
    """Delete assignments of items to one segment and report every row, in order, in one statement.

    What does not exist, the segment included, counts as deleted.
    """
    plan: Plan[str, str] = Plan()
    accepted = list(accepted_rows(item_ids, plan))
    named = list({item_id for _, item_id in accepted})
    column = item_type.column
    if named:
        fetch_rows(
            Sql(
                "WITH doomed AS ("
                " SELECT id FROM segments_itemassignment WHERE tenant_id = %s AND segment_id ="
                " (SELECT id FROM segments_segment WHERE tenant_id = %s AND external_id = %s)"
                f" AND {column} IN (SELECT item.id FROM {item_type.items}"
                " item.tenant_id = %s AND item.external_id = ANY(%s::text[]))"
                f" ORDER BY {column} FOR UPDATE"
                ") DELETE FROM segments_itemassignment WHERE id IN (SELECT id FROM doomed) RETURNING id",
                (tenant_id, tenant_id, segment_id, tenant_id, named),
            )
        )
    deleted = [Outcome(position) for position, _ in accepted]
    return sorted([*plan.outcomes, *deleted], key=lambda outcome: outcome.position)


def delete_item_assignment(*, tenant_id: int, segment_id: str, item_type: ItemType, item_id: str) -> None:
    """Delete one assignment, if it exists."""
    only_outcome(
        delete_item_assignments(
            tenant_id=tenant_id, segment_id=segment_id, item_type=item_type, item_ids=[item_id]
        )
    )


def item_keys(tenant_id: int, item_type: ItemType, item_ids: set[str]) -> dict[str, int]:
    """Return the keys of those of the items that exist, by their wire ids, in one statement.

    Keeps them from being deleted until the transaction ends.
    """
    return dict(
        fetch_rows(
            Sql(
                f"SELECT item.external_id, item.id FROM {item_type.items}"
                " item.tenant_id = %s AND item.external_id = ANY(%s::text[]) ORDER BY item.id FOR KEY SHARE",
                (tenant_id, list(item_ids)),
            )
        )
    )


def locked_versions(tenant_id: int, segment: int, item_type: ItemType, keys: Sequence[int]) -> dict[int, int]:
    """Lock those of the assignments that exist and return their versions, in one statement."""
    column = item_type.column
    return dict(
        fetch_rows(
            Sql(
                f"SELECT {column}, version FROM segments_itemassignment WHERE tenant_id = %s"
                f" AND segment_id = %s AND {column} = ANY(%s::bigint[]) ORDER BY {column} FOR UPDATE",
                (tenant_id, segment, list(keys)),
            )
        )
    )
