"""Segments as rows of an import."""

from core.imports.merge_specs import WINDOW_CHECK, Check, MergeSpec, Reference, plain_values
from segments.bodies import SegmentFields, SegmentId
from segments.imports.columns import parts_of
from segments.operations.segments import SEGMENTS as TARGET

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
