"""How documents are written: lock, compare the version, change, count the version up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import models

from core.errors import NotFound
from core.tenancy.documents import Document, TenantDocument, check_version

Row = TypeVar("Row", bound=TenantDocument)


@dataclass(frozen=True, slots=True)
class Change:
    """What a writer wants: columns and their values, and the version it has seen, if it names one."""

    values: Mapping[str, object]
    expected_version: int | None = None


def locked_document(
    model: type[Row], *, tenant_id: int, external_id: str, for_deletion: bool = False
) -> Row | None:
    """Return the tenant's document locked until commit; None when there is none.

    A change keeps the key, so that rows which refer to the document can be written meanwhile.
    """
    rows = model._default_manager.select_for_update(of=("self",), no_key=not for_deletion)
    return rows.filter(tenant=tenant_id, external_id=external_id).first()


def existing_document(
    model: type[Row], *, tenant_id: int, external_id: str, for_deletion: bool = False
) -> Row:
    """Return the tenant's document locked until commit, or raise NotFound."""
    row = locked_document(model, tenant_id=tenant_id, external_id=external_id, for_deletion=for_deletion)
    if row is None:
        raise NotFound(resource_id=external_id)
    return row


def locked_version(model: type[Row], *, tenant_id: int, external_id: str) -> int | None:
    """Lock the tenant's document until commit and return its version; None when there is none."""
    row = locked_document(model, tenant_id=tenant_id, external_id=external_id)
    return row.version if row else None


def apply_change(row: Document, change: Change, *, at: datetime) -> None:
    """Change a locked row, not saved; raise VersionConflict when the writer has seen another version."""
    check_version(row, change.expected_version)
    for column, value in change.values.items():
        setattr(row, column, value)
    row.version += 1
    row.modified_at = at


def delete_row(row: models.Model) -> None:
    """Delete the row by one statement; the database deletes what belongs to it."""
    rows = type(row)._default_manager.filter(pk=row.pk)
    rows._raw_delete(rows.db)
