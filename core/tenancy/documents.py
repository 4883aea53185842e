"""Base classes of models: rows of a tenant, versioned documents, and both."""

from collections.abc import Collection
from typing import ClassVar, Self

from django.db import models
from django.utils import timezone

from core.errors import VersionConflict
from core.names import is_generated, name_for_reader
from core.tenancy.identifiers import UNREACHABLE_IDS, generate_id


class DocumentQuerySet(models.QuerySet):
    """Reads that every document offers."""

    def locked(self, pk: int, *, expected_version: int | None = None) -> models.Model:
        """Return the row locked for a change until commit; raise VersionConflict for an older version."""
        row = self.select_for_update(of=("self",), no_key=True).get(pk=pk)
        check_version(row, expected_version)
        return row

    def for_tenant(self, tenant: object) -> Self:
        """Keep the rows of one tenant (a Tenant or its key)."""
        return self.filter(tenant=tenant)


class Document(models.Model):
    """A row with a version for optimistic locking, its instants, and free attributes (`mixins`).

    `version` grows by one with every write. `mixin_schemas` maps a mixin's name to the address of its
    schema; both round-trip unchanged (`mixins` and `metadata.mixins` on the wire): NULL when not sent.
    """

    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    modified_at = models.DateTimeField(default=timezone.now, editable=False)
    mixins = models.JSONField(null=True, blank=True)
    mixin_schemas = models.JSONField(null=True, blank=True)

    class Meta:
        abstract = True


def check_version(row: models.Model, expected: int | None) -> None:
    """Raise VersionConflict when the caller names another version than the stored one."""
    stored = row.version  # type: ignore[attr-defined]
    if expected is not None and expected != stored:
        raise VersionConflict(
            expected=expected, stored=stored, resource_id=str(getattr(row, "external_id", ""))
        )


class TenantOwned(models.Model):
    """A row of one tenant. Every uniqueness and every lookup starts with the tenant."""

    tenant = models.ForeignKey("tenancy.Tenant", on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True


class TenantDocument(TenantOwned, Document):
    """A tenant's document that clients know by a text id of their own choosing.

    `external_id` is the `id` on the wire: kept as given, case-sensitive, unique in the tenant. The key
    `id` stays inside, for joins. Nothing new gets one of the `reserved_ids`: fixed words of the contract's
    addresses where others have the id.
    """

    reserved_ids: ClassVar[Collection[str]] = UNREACHABLE_IDS

    external_id = models.CharField("id", max_length=128, default=generate_id)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.external_id

    def titled(self, translations: object) -> str:
        """Return a localized name for people, with the id unless it was generated.

        The name is in the reader's language, else in the tenant's default language when the tenant has been
        loaded along: it is not worth a statement of its own.
        """
        tenant = self._state.fields_cache.get("tenant")
        name = name_for_reader(translations, tenant.default_language if tenant else None)
        if name and is_generated(self.external_id):
            return name
        return f"{name} ({self.external_id})".strip()
