"""Files of legal entities. A row is a body of the API; parents and subsidiaries come in any order."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from accounts.api.representations import LEGAL_ENTITIES as ANSWER
from accounts.api.serializers.companies import LegalEntityInput
from accounts.callers import TenantRecord
from accounts.imports.bodies import BodyReader, read_id, split_metadata
from accounts.imports.kinds import Export, ImportKind, OperationWriter, Removal, one_by_one
from accounts.models import LegalEntity
from accounts.operations.documents import Change
from accounts.operations.legal_entities import delete_legal_entity
from accounts.operations.legal_entity_imports import DETAILS, LegalEntityRow, upsert_legal_entities
from core.api.fields import Json, Nested
from core.api.representations import Representation
from core.errors import NotFound
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.shadows import Rows

TABLES = {"accounts_tenant": Rows.THE_TENANT, "accounts_legalentity": Rows.OF_TENANT}

read_entity = BodyReader(LegalEntityInput())


def read_row(body: Mapping[str, Any], tenant: TenantRecord) -> LegalEntityRow:
    values = read_entity(body)
    version, schemas = split_metadata(values)
    parent_id = values.pop("parentId")
    return LegalEntityRow(read_id(body), parent_id, Change({**values, "mixin_schemas": schemas}, version))


def changed_rows(tenant: TenantRecord, rows: Sequence[LegalEntityRow]) -> list[LegalEntityRow]:
    """Return the rows that are new, differ from what is stored, or expect a version."""
    entities = LegalEntity.objects.for_tenant(tenant.id)
    named = entities.filter(external_id__in=[row.external_id for row in rows])
    stored = {
        entity["external_id"]: entity
        for entity in named.order_by().values("external_id", "parent__external_id", *DETAILS)
    }
    return [
        row
        for row in rows
        if row.change.expected_version is not None
        or row.external_id not in stored
        or differs(row, stored[row.external_id])
    ]


def differs(row: LegalEntityRow, stored: Mapping[str, Any]) -> bool:
    return (stored["parent__external_id"] or "") != row.parent_id or any(
        stored[column] != value for column, value in row.change.values.items()
    )


def existing_ids(tenant: TenantRecord, ids: Sequence[str]) -> set[str]:
    entities = LegalEntity.objects.for_tenant(tenant.id).filter(external_id__in=ids)
    return set(entities.values_list("external_id", flat=True))


def remove_entity(tenant: TenantRecord, external_id: str, at: datetime) -> None:
    """Delete the legal entity with its subsidiaries."""
    delete_legal_entity(tenant_id=tenant.id, external_id=external_id)


LEGAL_ENTITY_FILES = ImportKind(
    name="legal_entities",
    noun="legal entities",
    columns=(
        Column("id", is_required=True, is_id=True),
        Column("name", is_required=True),
        Column("type", note="COMPANY or SUBSIDIARY"),
        Column("parentId", is_id=True, note="stored, or anywhere in the same batch"),
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
        upsert=lambda tenant, rows, at: upsert_legal_entities(tenant_id=tenant.id, rows=rows, at=at),
        tables=TABLES,
        remove=Removal(one_by_one(remove_entity, gone=NotFound), tables=TABLES),
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
    plans_whole_file=True,
    batch_size=20_000,
)
