"""What the assignments of customers and of items have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.api.sql import Sql, fetch_rows
from segments.errors import SegmentNotFound

COLUMNS = {
    "mixins": "jsonb",
    "mixin_schemas": "jsonb",
    "valid_from": "timestamptz",
    "valid_to": "timestamptz",
    "created_at": "timestamptz",
    "modified_at": "timestamptz",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentRow:
    """What an assignment says beside whom or what it assigns. Absent ends of the window are open."""

    mixins: Mapping[str, Any]
    mixin_schemas: Mapping[str, Any]
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expected_version: int | None = None

    def stored_values(self, at: datetime) -> tuple[Any, ...]:
        """Return the values of COLUMNS, written at `at`."""
        return self.mixins, self.mixin_schemas, self.valid_from, self.valid_to, at, at


def held_segment(tenant_id: int, segment_id: str) -> int:
    """Return the segment's key and keep it from being deleted until the transaction ends.

    Raises SegmentNotFound.
    """
    rows = fetch_rows(
        Sql(
            "SELECT id FROM segments_segment WHERE tenant_id = %s AND external_id = %s FOR KEY SHARE",
            (tenant_id, segment_id),
        )
    )
    if not rows:
        raise SegmentNotFound(resource_id=segment_id)
    return rows[0][0]
