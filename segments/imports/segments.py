"""Files of segments. A row is a body of the API's bulk upsert."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from core.bodies import read_body
from core.imports.merge_specs import WINDOW_CHECK, Check, MergeSpec, Reference, plain_values
from core.imports.resources import Export, ImportResource, document_of_files
from core.imports.shadows import Rows
from core.imports.writers import Removal, TableWriter, one_after_another
from core.representation.languages import LanguageContext
from core.sql.upserts import RowResult
from core.tenancy.callers import TenantRecord
from segments.bodies import IdentifiedSegmentBody, SegmentFields, SegmentId
from segments.imports.columns import columns_of, parts_of, staged_values
from segments.models import Segment
from segments.operations.segments import SEGMENTS as TARGET
from segments.operations.segments import delete_segments
from segments.representations import SEGMENT

VISIBLE = r"[^\u0001-\u0020\u007f-\u00a0\u00ad\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]"
"""A character that can be seen. Each row's own texts were read as `core.bodies.Name`."""


class SegmentRow(SegmentFields, kw_only=True):
    """A segment in a file. A row without siteCode or name leaves the stored ones as they are."""

    id: SegmentId


DETAILS = {
    name: type_name
    for name, type_name in TARGET.columns.items()
    if name not in ("tenant_id", "site_id", "created_at", "modified_at")
}

SEGMENTS = MergeSpec(
    name="segments",
    target=TARGET,
    given={**DETAILS, "site": "text"},
    values={
        **plain_values(DETAILS),
        "tenant_id": "%(tenant)s",
        "site_id": "site.id",
        "created_at": "%(at)s",
        "modified_at": "%(at)s",
    },
    parts=parts_of(SegmentRow, TARGET.columns, site_code="site_id"),
    checks=(
        Check(
            code="invalid_input",
            condition="result.site_id IS NULL",
            message="'siteCode is missing; a new segment needs one.'",
        ),
        Check(
            code="invalid_input",
            condition=(
                "NOT EXISTS (SELECT FROM jsonb_each_text(result.name) AS text"
                f" WHERE text.value ~ '{VISIBLE}')"
            ),
            message="'name is missing; a segment needs one in at least one language.'",
        ),
        WINDOW_CHECK,
    ),
    references=(Reference("site", "accounts_site", "site", "site", identifier="code"),),
)
"""A segment by id, on a site that exists."""


details_of = staged_values(Segment, SegmentRow, DETAILS)


def read_row(body: Mapping[str, object], tenant: TenantRecord) -> tuple[object, ...]:
    """Return the row as SEGMENTS takes it, behind the version that it expects."""
    row = read_body(SegmentRow, body, languages=LanguageContext(None, tenant.default_language))
    return (row.expected_version, *staged_segment(row))


def staged_segment(row: SegmentRow) -> tuple[object, ...]:
    """Return the values of `SEGMENTS.given`."""
    _, *details = details_of.values(row, external_id=row.id)
    return (*details, row.site_code)


def remove_segments(tenant: TenantRecord, ids: Sequence[str], at: datetime) -> list[RowResult]:
    """Delete the segments; those that still hold customers or items are refused."""
    segments = Segment.objects.for_tenant(tenant.id).filter(external_id__in=ids)
    known = set(segments.values_list("external_id", flat=True))
    outcomes = delete_segments(tenant_id=tenant.id, segment_ids=ids, forces=False)
    for outcome in outcomes:
        outcome.created = outcome.id in known and outcome.error is None
        known.discard(outcome.id)
    return outcomes


SEGMENT_FILES = ImportResource(
    name="segments",
    noun="segments",
    columns=columns_of(IdentifiedSegmentBody, status="ACTIVE or INACTIVE, which is meant when absent"),
    writer=TableWriter(
        table=SEGMENTS,
        read=one_after_another(read_row),
        remove=Removal(remove_segments, tables={"segments_segment": Rows.OF_TENANT}),
    ),
    export=Export(document_of_files(SEGMENT), order="segment.id"),
)
