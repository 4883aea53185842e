"""The columns that every stored document has, whatever it describes."""

from typing import Self

from django.db import models
from django.utils import timezone

from core.errors import VersionConflict


class DocumentQuerySet(models.QuerySet):
    """Reads that every document offers."""

    def locked(self, pk: int, *, expected_version: int | None = None) -> models.Model:
        """Return the row locked until commit; raise VersionConflict when the caller saw an older version."""
        row = self.select_for_update(of=("self",)).get(pk=pk)
        check_version(row, expected_version)
        return row

    def for_tenant(self, tenant: object) -> Self:
        """Keep the rows of one tenant (a Tenant or its key)."""
        return self.filter(tenant=tenant)


class Document(models.Model):
    """A row with a version for optimistic locking, its instants, and free attributes (`mixins`).

    `version` grows by one with every write. `mixin_schemas` maps a mixin's name to the address of its
    schema; both round-trip unchanged (`mixins` and `metadata.mixins` on the wire).
    """

    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    modified_at = models.DateTimeField(default=timezone.now, editable=False)
    mixins = models.JSONField(default=dict, blank=True)
    mixin_schemas = models.JSONField(default=dict, blank=True)

    class Meta:
        abstract = True


def check_version(row: models.Model, expected: int | None) -> None:
    """Raise VersionConflict when the caller names another version than the stored one."""
    stored = row.version  # type: ignore[attr-defined]
    if expected is not None and expected != stored:
        raise VersionConflict(
            expected=expected, stored=stored, resource_id=str(getattr(row, "external_id", ""))
        )
