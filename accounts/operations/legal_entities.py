"""Legal entities: companies and their subsidiaries."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction

from accounts.errors import DuplicateId, LegalEntitiesTooLarge, LegalEntityCycle, UnknownReference
from accounts.identity.models import Session
from accounts.identity.tokens.revocations import announce_revocation
from accounts.models import LegalEntity
from accounts.operations import documents
from accounts.operations.documents import Change, apply_change, existing_document, locked_document
from core.errors import MOST_DELETED_ALONG
from core.model_fields import references_to, related_model
from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from core.sql.integrity import translate_integrity_errors
from core.tenancy.identifiers import check_client_id, generate_id
from core.tenancy.models import Tenant

SUBTREE = """
WITH RECURSIVE below AS (
    SELECT id, 0 AS depth FROM accounts_legalentity WHERE tenant_id = {tenant} AND id = {entity}
    UNION ALL
    SELECT child.id, below.depth + 1 FROM accounts_legalentity AS child
    JOIN below ON child.parent_id = below.id WHERE child.tenant_id = {tenant}
)
SELECT id FROM below ORDER BY depth DESC, id
"""


@transaction.atomic
def create_legal_entity(
    *, tenant_id: int, change: Change, parent_id: str = "", external_id: str = "", at: datetime
) -> LegalEntity:
    """Make a legal entity. Raises DuplicateId, UnknownReference (parent) and InvalidInput (id)."""
    entity = LegalEntity(
        tenant_id=tenant_id,
        external_id=check_client_id(
            external_id or generate_id(), field="id", reserved=LegalEntity.reserved_ids
        ),
        parent=parent_named(tenant_id, parent_id),
        created_at=at,
        modified_at=at,
        **change.values,
    )
    with translate_integrity_errors({"legal_entity_id_unique": DuplicateId(resource_id=entity.external_id)}):
        entity.save()
    return entity


@transaction.atomic
def upsert_legal_entity(
    *, tenant_id: int, external_id: str, change: Change, parent_id: str = "", at: datetime
) -> tuple[LegalEntity, bool]:
    """Replace the legal entity, or make one with this id; say whether it was made.

    Holds the tenant's row while a parent is named: of two moves at once the second sees the first, so that no
    cycle can close. Raises VersionConflict, LegalEntityCycle and what `create_legal_entity` raises.
    """
    if parent_id:
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    entity = locked_document(LegalEntity, tenant_id=tenant_id, external_id=external_id)
    if entity is None:
        try:
            created = create_legal_entity(
                tenant_id=tenant_id, external_id=external_id, change=change, parent_id=parent_id, at=at
            )
        except DuplicateId:  # another writer has just made it
            entity = existing_document(LegalEntity, tenant_id=tenant_id, external_id=external_id)
        else:
            return created, True
    apply_change(entity, change, at=at)
    entity.parent = parent_named(tenant_id, parent_id)
    if entity.parent is not None and entity.parent.pk in subtree(entity):
        raise LegalEntityCycle
    entity.save()
    return entity, False


def locked_version(*, tenant_id: int, external_id: str) -> int | None:
    """Lock the tenant's row, then the legal entity, and return its version; None when there is none."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    return documents.locked_version(LegalEntity, tenant_id=tenant_id, external_id=external_id)


def delete_legal_entity(*, tenant_id: int, external_id: str) -> None:
    """Delete a legal entity as `delete_legal_entities` does."""
    delete_legal_entities(tenant_id=tenant_id, external_ids=[external_id])


@transaction.atomic
def delete_legal_entities(*, tenant_id: int, external_ids: Iterable[str]) -> None:
    """Delete legal entities with their subsidiaries, and the contacts and B2B assignments of all of them.

    Raises NotFound, and LegalEntitiesTooLarge when that is more than MOST_DELETED_ALONG rows.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    found = [
        existing_document(LegalEntity, tenant_id=tenant_id, external_id=external_id, for_deletion=True)
        for external_id in external_ids
    ]
    keys = list(dict.fromkeys(key for entity in found for key in subtree(entity)))
    if len(keys) > MOST_DELETED_ALONG or more_refer_to(tenant_id, keys, MOST_DELETED_ALONG - len(keys)):
        raise LegalEntitiesTooLarge
    for key in keys:  # the deepest first: a parent cannot go before its subsidiaries
        rows = LegalEntity.objects.filter(pk=key)
        rows._raw_delete(rows.db)
    announce_revocation()


def subtree(entity: LegalEntity) -> list[int]:
    """Return the keys of the legal entity and all below it, the deepest first."""
    statement = sql(SUBTREE, tenant=param(entity.tenant_id), entity=param(entity.pk))
    return [key for (key,) in fetch_rows(statement)]


def more_refer_to(tenant_id: int, keys: Sequence[int], most: int) -> bool:
    """Say whether more than `most` rows of any app refer to these legal entities.

    Sessions do not count: nobody can take some of them away first, and they are quickly deleted.
    """
    for relation in references_to(LegalEntity._meta):
        model = related_model(relation)
        if model not in (LegalEntity, Session):
            of_keys = {"tenant": tenant_id, f"{relation.field.name}__in": keys}
            most -= model._base_manager.filter(**of_keys).order_by().values("pk")[: most + 1].count()
            if most < 0:
                return True
    return False


def parent_named(tenant_id: int, parent_id: str) -> LegalEntity | None:
    if not parent_id:
        return None
    parent = LegalEntity.objects.for_tenant(tenant_id).filter(external_id=parent_id).first()
    if parent is None:
        raise UnknownReference(f"There is no legal entity {parent_id}.", field="parentId")
    return parent
