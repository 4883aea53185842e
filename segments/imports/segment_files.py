"""Files of segments. A row is a body of the API's bulk upsert."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.resources import Export, ImportKind, Removal, TableWriter
from core.imports.shadows import Rows
from core.imports.stages import json_text
from core.representation.fields import Json, Nested
from core.representation.representations import Representation
from core.sql.upserts import RowResult
from core.tenancy.callers import TenantRecord
from segments.bodies import LanguageContext, read_identified_segment
from segments.imports.segments import SEGMENTS
from segments.models import Segment
from segments.operations.segments import delete_segments
from segments.representations import SEGMENT as ANSWER

STAND_IN = "-"
"""Read in place of what a row lacks, and never written: SEGMENTS takes it from the stored row or refuses."""


def read_row(body: Mapping[str, Any], tenant: TenantRecord) -> tuple[Any, ...]:
    """Return the row as SEGMENTS takes it, behind the version that it expects."""
    has_site, has_name = body.get("siteCode") is not None, bool(body.get("name"))
    whole = {
        **body,
        **({} if has_site else {"siteCode": STAND_IN}),
        **({} if has_name else {"name": STAND_IN}),
    }
    row = read_identified_segment(whole, LanguageContext(None, tenant.default_language))
    return (
        row.expected_version,
        row.id,
        json_text(row.name if has_name else {}),
        json_text(row.description),
        row.status,
        row.valid_from,
        row.valid_to,
        json_text(row.mixins),
        json_text(row.mixin_schemas),
        row.site_code if has_site else None,
    )


def remove_segments(tenant: TenantRecord, ids: Sequence[str], at: datetime) -> list[RowResult]:
    """Delete the segments; those that still hold customers or items are refused."""
    segments = Segment.objects.for_tenant(tenant.id).filter(external_id__in=ids)
    known = set(segments.values_list("external_id", flat=True))
    outcomes = delete_segments(tenant_id=tenant.id, segment_ids=ids, forces=False)
    for outcome in outcomes:
        outcome.created = outcome.id in known and outcome.error is None
        known.discard(outcome.id)
    return outcomes


SEGMENT_FILES = ImportKind(
    name="segments",
    noun="segments",
    columns=(
        Column("id", is_required=True, is_id=True),
        Column("siteCode", is_required=True, is_id=True),
        Column("name", ColumnType.LOCALIZED, is_required=True),
        Column("description", ColumnType.LOCALIZED),
        Column("status", note="ACTIVE or INACTIVE, which is meant when absent"),
        Column("validity.from", ColumnType.TIME),
        Column("validity.to", ColumnType.TIME),
        Column("mixins", ColumnType.JSON),
        Column("metadata.mixins", ColumnType.JSON),
        EXPECTED_VERSION,
    ),
    writer=TableWriter(
        SEGMENTS, read_row, remove=Removal(remove_segments, tables={"segments_segment": Rows.OF_TENANT})
    ),
    export=Export(
        Representation(
            table=ANSWER.table,
            alias=ANSWER.alias,
            fields={
                **{name: field for name, field in ANSWER.fields.items() if name != "metadata"},
                "metadata": Nested({"mixins": Json("segment.mixin_schemas")}),
            },
            joins=ANSWER.joins,
        ),
        order="segment.id",
    ),
)
