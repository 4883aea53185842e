"""Segments as rows of an import."""

from core.imports.merge_specs import WINDOW_CHECK, Check, Reference, TableKind, plain_values
from segments.operations.segments import SEGMENTS as TARGET

DETAILS = {
    "external_id": "text",
    "name": "jsonb",
    "description": "jsonb",
    "status": "text",
    "valid_from": "timestamptz",
    "valid_to": "timestamptz",
    "mixins": "jsonb",
    "mixin_schemas": "jsonb",
}

SEGMENTS = TableKind(
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
    parts={
        "siteCode": "site_id",
        "name": "name.*",
        "description": "description.*",
        "status": "status",
        "validity.from": "valid_from",
        "validity.to": "valid_to",
        "mixins": "mixins",
        "metadata.mixins": "mixin_schemas",
    },
    checks=(
        Check(
            code="invalid_input",
            condition="result.site_id IS NULL",
            message="'siteCode is missing; a new segment needs one.'",
        ),
        Check(
            code="invalid_input",
            condition="result.name = '{}'",
            message="'name is missing; a segment needs one in at least one language.'",
        ),
        WINDOW_CHECK,
    ),
    references=(Reference("site", "accounts_site", "site", "site", identifier="code"),),
)
"""A segment by id, on a site that exists."""
