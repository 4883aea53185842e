"""Files of legal entities. A row is a body of the API; parents and subsidiaries come in any order."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from accounts.bodies.legal_entities import LegalEntityBody
from accounts.models import ContactAssignment, LegalEntity
from accounts.operations.legal_entities import delete_legal_entity
from accounts.operations.legal_entity_imports import DETAILS, TARGET, LegalEntityRow, upsert_legal_entities
from accounts.representations import LEGAL_ENTITIES as ANSWER
from core.bodies import read_body
from core.errors import NotFound
from core.imports.columns import EXPECTED_VERSION, Column, ColumnType
from core.imports.exporting import stored_bodies
from core.imports.merge_specs import MergeSpec, Reference, plain_values
from core.imports.resources import Export, ImportResource, document_of_files
from core.imports.shadows import Rows
from core.imports.writers import Removal, UpsertWriter, one_by_one
from core.sql.upserts import RowResult, UpsertTarget
from core.tenancy.callers import TenantRecord
from core.tenancy.identifiers import check_client_id
from core.tenancy.models import Tenant

GIVEN = {"external_id": "text", **DETAILS}
STAMPS = {"tenant_id": "%(tenant)s", "created_at": "%(at)s", "modified_at": "%(at)s"}

LEGAL_ENTITIES = MergeSpec(
    name="legal entities",
    target=TARGET,
    given={**GIVEN, "parent": "text"},
    values={**plain_values(GIVEN), **STAMPS, "parent_id": "parent.id"},
    references=(Reference("parent", "accounts_legalentity", "parent", "legal entity"),),
)
"""A legal entity by id. Its parent comes in an earlier batch, or is stored."""

CONTACTS = MergeSpec(
    name="contact assignments",
    target=UpsertTarget.of(
        ContactAssignment, "tenant_id", "customer_id", "legal_entity_id", created_only=("external_id",)
    ),
    given={
        "external_id": "text",
        "customer": "text",
        "legal_entity": "text",
        "type": "text",
        "is_primary": "boolean",
        "mixins": "jsonb",
        "mixin_schemas": "jsonb",
    },
    values={
        **plain_values({"external_id": "", "type": "", "is_primary": "", "mixins": "", "mixin_schemas": ""}),
        **STAMPS,
        "customer_id": "customer.id",
        "legal_entity_id": "legal_entity.id",
    },
    references=(
        Reference("customer", "accounts_customer", "customer", "customer"),
        Reference("legal_entity", "accounts_legalentity", "legal_entity", "legal entity"),
    ),
)
"""A customer who may act for a legal entity, by both."""


TABLES = {"tenancy_tenant": Rows.THE_TENANT, "accounts_legalentity": Rows.OF_TENANT}

COLUMNS = (
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
)

EXPORT = Export(
    document_of_files(ANSWER),
    # as many ancestors, as many steps down: parents come first
    order=(
        "(WITH RECURSIVE above AS (SELECT legal_entity.parent_id AS id UNION ALL"
        " SELECT entity.parent_id FROM above JOIN accounts_legalentity AS entity ON entity.id = above.id)"
        " SELECT count(id) FROM above), legal_entity.id"
    ),
)


def read_row(body: Mapping[str, object], tenant: TenantRecord) -> LegalEntityRow:
    entity = read_body(LegalEntityBody, body)
    return LegalEntityRow(
        check_client_id(body.get("id"), field="id", reserved=LegalEntity.reserved_ids),
        entity.parent_id or "",
        entity.change(),
    )


def changed_rows(
    tenant: TenantRecord, rows: Sequence[LegalEntityRow], stored: Mapping[str, Mapping[str, object]]
) -> list[LegalEntityRow]:
    """Return the rows that are new, differ from what is stored, or expect a version."""
    return [
        row
        for row in rows
        if row.change.expected_version is not None
        or row.external_id not in stored
        or read_row(stored[row.external_id], tenant) != row
    ]


def stored_entities(tenant: TenantRecord, ids: Sequence[str]) -> dict[str, dict[str, object]]:
    return stored_bodies(EXPORT, tenant, ids)


def hold_entities(tenant: TenantRecord, ids: Sequence[str]) -> None:
    """Lock the tenant's row, as every move of a legal entity does, and the legal entities in key order."""
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant.id)
    list(
        LegalEntity.objects.for_tenant(tenant.id)
        .filter(external_id__in=ids)
        .order_by("pk")
        .select_for_update(of=("self",), no_key=True)
        .values_list("pk")
    )


def existing_ids(tenant: TenantRecord, ids: Sequence[str]) -> set[str]:
    entities = LegalEntity.objects.for_tenant(tenant.id).filter(external_id__in=ids)
    return set(entities.values_list("external_id", flat=True))


def write_entities(
    tenant: TenantRecord, rows: Sequence[LegalEntityRow], at: datetime, confirm: Callable[[], None]
) -> list[RowResult]:
    return upsert_legal_entities(tenant_id=tenant.id, rows=rows, at=at, confirm=confirm)


def remove_entity(tenant: TenantRecord, external_id: str, at: datetime) -> None:
    """Delete the legal entity with its subsidiaries."""
    delete_legal_entity(tenant_id=tenant.id, external_id=external_id)


LEGAL_ENTITY_FILES = ImportResource(
    name="legal_entities",
    noun="legal entities",
    columns=COLUMNS,
    writer=UpsertWriter(
        read=read_row,
        identify=lambda row: row.external_id,
        changed=changed_rows,
        columns=COLUMNS,
        stored=stored_entities,
        hold=hold_entities,
        existing=existing_ids,
        upsert=write_entities,
        tables=TABLES,
        remove=Removal(one_by_one(remove_entity, gone=NotFound), tables=TABLES),
    ),
    export=EXPORT,
    plans_whole_file=True,
    batch_size=20_000,
)
