"""Files of legal entities. A row is a body of the API; a parent stands in front of its subsidiaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts.api.representations import LEGAL_ENTITIES as ANSWER
from accounts.api.serializers.companies import LegalEntityInput
from accounts.callers import TenantRecord
from accounts.imports.bodies import BodyReader, read_id, split_metadata
from accounts.imports.kinds import Export, ImportKind, OperationWriter, Removal
from accounts.models import LegalEntity
from accounts.operations.documents import Change
from accounts.operations.legal_entities import delete_legal_entity, upsert_legal_entity
from core.api.fields import Json, Nested
from core.api.representations import Representation
from core.errors import DomainError, NotFound
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.upserts import Outcome

read_entity = BodyReader(LegalEntityInput())


@dataclass(frozen=True, slots=True)
class LegalEntityRow:
    """A legal entity as it shall be; an empty `parent_id` makes it independent."""

    external_id: str
    parent_id: str
    change: Change


def read_row(body: Mapping[str, Any], tenant: TenantRecord) -> LegalEntityRow:
    values = read_entity(body)
    version, schemas = split_metadata(values)
    parent_id = values.pop("parentId")
    return LegalEntityRow(read_id(body), parent_id, Change({**values, "mixin_schemas": schemas}, version))


def changed_rows(tenant: TenantRecord, rows: Sequence[LegalEntityRow]) -> list[LegalEntityRow]:
    stored = {
        entity.external_id: entity
        for entity in LegalEntity.objects.for_tenant(tenant.id)
        .filter(external_id__in=[row.external_id for row in rows])
        .select_related("parent")
    }
    return [
        row
        for row in rows
        if row.change.expected_version is not None
        or row.external_id not in stored
        or differs(row, stored[row.external_id])
    ]


def differs(row: LegalEntityRow, stored: LegalEntity) -> bool:
    parent_id = stored.parent.external_id if stored.parent else ""
    return parent_id != row.parent_id or any(
        getattr(stored, column) != value for column, value in row.change.values.items()
    )


def existing_ids(tenant: TenantRecord, ids: Sequence[str]) -> set[str]:
    entities = LegalEntity.objects.for_tenant(tenant.id).filter(external_id__in=ids)
    return set(entities.values_list("external_id", flat=True))


def upsert_rows(tenant: TenantRecord, rows: Sequence[LegalEntityRow], at: datetime) -> list[Outcome]:
    """Write the rows one after the other, so that each sees the parents in front of it."""
    outcomes = []
    for position, row in enumerate(rows):
        outcome = Outcome(position, id=row.external_id)
        try:
            with transaction.atomic():
                _, outcome.created = upsert_legal_entity(
                    tenant_id=tenant.id,
                    external_id=row.external_id,
                    change=row.change,
                    parent_id=row.parent_id,
                    at=at,
                )
        except DomainError as error:
            outcome.error = error
        outcomes.append(outcome)
    return outcomes


def remove_entities(tenant: TenantRecord, ids: Sequence[str], at: datetime) -> list[Outcome]:
    """Delete the legal entities, each with its subsidiaries."""
    outcomes = []
    for position, name in enumerate(ids):
        try:
            delete_legal_entity(tenant_id=tenant.id, external_id=name)
        except NotFound:  # deleted before, or along with its parent
            outcomes.append(Outcome(position, id=name))
        else:
            outcomes.append(Outcome(position, created=True, id=name))
    return outcomes


LEGAL_ENTITY_FILES = ImportKind(
    name="legal_entities",
    noun="legal entities",
    columns=(
        Column("id", is_required=True),
        Column("name", is_required=True),
        Column("type", note="COMPANY or SUBSIDIARY"),
        Column("parentId", note="stored, or on an earlier line"),
        Column("legalInfo.legalName"),
        Column("legalInfo.registrationDate"),
        Column("legalInfo.taxRegistrationNumber"),
        Column("legalInfo.registrationAgency"),
        Column("legalInfo.countryOfRegistration"),
        Column("legalInfo.registrationId"),
        Column("accountLimit.currency"),
        Column("accountLimit.value", ColumnType.NUMBER),
        Column("customerGroups", ColumnType.JSON),
        Column("entitiesAddresses", ColumnType.JSON),
        Column("approvalGroup", ColumnType.JSON),
        Column("restrictions", ColumnType.LIST),
        Column("mixins", ColumnType.JSON),
        Column("metadata.mixins", ColumnType.JSON),
        EXPECTED_VERSION,
    ),
    writer=OperationWriter(
        read=read_row,
        identify=lambda row: row.external_id,
        changed=changed_rows,
        existing=existing_ids,
        upsert=upsert_rows,
        remove=Removal(remove_entities),
    ),
    export=Export(
        Representation(
            table=ANSWER.table,
            alias=ANSWER.alias,
            fields={
                **{name: field for name, field in ANSWER.fields.items() if name != "metadata"},
                "metadata": Nested({"mixins": Json("legal_entity.mixin_schemas")}),
            },
            joins=ANSWER.joins,
        ),
        # as many ancestors, as many steps down: parents come first
        order=(
            "(WITH RECURSIVE above AS (SELECT legal_entity.parent_id AS id UNION ALL"
            " SELECT entity.parent_id FROM above JOIN accounts_legalentity AS entity ON entity.id = above.id)"
            " SELECT count(id) FROM above), legal_entity.id"
        ),
    ),
    batch_size=5_000,
)
