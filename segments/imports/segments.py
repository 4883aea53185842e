"""Segments as rows of an import."""

from core.imports.kinds import Reference, TableKind, plain_values
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
    references=(Reference("site", "accounts_site", "site", "site", identifier="code"),),
)
"""A segment by id, on a site that exists."""
