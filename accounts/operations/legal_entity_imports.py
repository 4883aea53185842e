"""Legal entities in bulk: parents and subsidiaries together, in a fixed number of statements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.errors import LegalEntityCycle, UnknownReference
from accounts.models import LegalEntity
from accounts.operations.documents import Change
from core.cycles import find_cycles
from core.errors import DomainError
from core.sql.composition import param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.upserts import BatchPlan, RowResult, UpsertResult, UpsertTarget, upsert_rows
from core.tenancy.models import Tenant

TARGET = UpsertTarget.of(LegalEntity, "tenant_id", "external_id")
APART = {"tenant_id", "external_id", "parent_id", "created_at", "modified_at"}
DETAILS = {name: kind for name, kind in TARGET.columns.items() if name not in APART}
"""What a legal entity says, beside its id and its parent."""

LINEAGE = """
WITH RECURSIVE known AS (
    SELECT id, external_id, parent_id, version FROM accounts_legalentity
    WHERE tenant_id = {tenant} AND external_id = ANY({ids})
    UNION
    SELECT above.id, above.external_id, above.parent_id, above.version FROM accounts_legalentity AS above
    JOIN known ON above.id = known.parent_id
)
SELECT id, external_id, parent_id, version FROM known
"""


@dataclass(frozen=True, slots=True)
class LegalEntityRow:
    """A legal entity as it is to be; no parent when `parent_id` is empty. `change` has all of DETAILS."""

    external_id: str
    parent_id: str
    change: Change


@dataclass(frozen=True, slots=True)
class Stored:
    """What the load needs to know of a stored legal entity."""

    id: int
    parent_id: str | None
    version: int


@transaction.atomic
def upsert_legal_entities(
    *,
    tenant_id: int,
    rows: Sequence[LegalEntityRow],
    at: datetime,
    confirm: Callable[[], None] = lambda: None,
) -> list[RowResult]:
    """Create or replace all legal entities and report every row, in order.

    Rows come in any order, subsidiaries before parents too; each id once. A row whose parent does not exist,
    that closes a cycle, or that expects another version is refused with UnknownReference, LegalEntityCycle
    or VersionConflict, and spoils no other, except rows that hang below a new one that was refused. Holds
    the tenant's row, as every move of a legal entity does. `confirm` is called when the rows are locked,
    before anything is written; what it raises ends the write.
    """
    Tenant.objects.select_for_update(no_key=True).get(pk=tenant_id)
    stored = lock_lineage(tenant_id, rows)
    confirm()
    refused = refused_rows(rows, stored)
    plan: BatchPlan[tuple[int, str], LegalEntityRow] = BatchPlan()
    for position, row in enumerate(rows):
        if error := refused.get(position):
            plan.reject(position, error, id=row.external_id)
            continue
        known = stored.get(row.external_id)
        plan.add(
            position,
            (tenant_id, row.external_id),
            row,
            stored_version=known.version if known else None,
            expected_version=row.change.expected_version,
            id=row.external_id,
        )
    written = upsert_rows(
        TARGET,
        [(column_values(row, tenant_id=tenant_id, stored=stored, at=at), 1) for row in plan.rows.values()],
    )
    below_new_ones = [row for row in plan.rows.values() if row.parent_id and row.parent_id not in stored]
    if below_new_ones:
        hang_below(tenant_id, below_new_ones, written)
    plan.record(written)
    return plan.results


def column_values(
    row: LegalEntityRow, *, tenant_id: int, stored: Mapping[str, Stored], at: datetime
) -> list[object]:
    """Return the row as TARGET takes it; a parent that is not stored yet is set afterwards."""
    values = {
        **row.change.values,
        "tenant_id": tenant_id,
        "external_id": row.external_id,
        "parent_id": stored[row.parent_id].id if row.parent_id in stored else None,
        "created_at": at,
        "modified_at": at,
    }
    return [values[name] for name in TARGET.columns]


def lock_lineage(tenant_id: int, rows: Sequence[LegalEntityRow]) -> dict[str, Stored]:
    """Lock the stored rows that will change; return them, the parents they name, and all above these."""
    ids = [row.external_id for row in rows]
    tenant = param(tenant_id)
    execute(
        sql(
            "SELECT count(*) FROM (SELECT FROM accounts_legalentity WHERE tenant_id = {tenant}"
            " AND external_id = ANY({ids}) ORDER BY id FOR NO KEY UPDATE) AS locked",
            tenant=tenant,
            ids=param(ids, "text[]"),
        )
    )
    named = [*ids, *{row.parent_id for row in rows if row.parent_id}]
    found = fetch_rows(sql(LINEAGE, tenant=tenant, ids=param(named, "text[]")))
    names = {key: external_id for key, external_id, _, _ in found}
    return {
        external_id: Stored(key, names.get(parent), version) for key, external_id, parent, version in found
    }


def refused_rows(rows: Sequence[LegalEntityRow], stored: Mapping[str, Stored]) -> dict[int, DomainError]:
    """Return the reason of each row that cannot be written, by its position in the batch."""
    refused: dict[int, DomainError] = {}
    while True:
        before = len(refused)
        accepted = {position: row for position, row in enumerate(rows) if position not in refused}
        known = stored.keys() | {row.external_id for row in accepted.values()}
        for position, row in accepted.items():
            if row.parent_id and row.parent_id not in known:
                error = UnknownReference(f"There is no legal entity {row.parent_id}.", field="parentId")
                refused[position] = error
        parents = {name: entity.parent_id for name, entity in stored.items()}
        parents |= {row.external_id: row.parent_id or None for row in accepted.values()}
        circular = {name for cycle in find_cycles(parents) for name in cycle}
        for position, row in accepted.items():
            if row.external_id in circular:
                refused.setdefault(position, LegalEntityCycle())
        if len(refused) == before:
            return refused


def hang_below(
    tenant_id: int, rows: Sequence[LegalEntityRow], written: Mapping[tuple[object, ...], UpsertResult]
) -> None:
    """Set the parents that were written along with the rows, and had no keys before."""
    execute(
        sql(
            "UPDATE accounts_legalentity AS entity SET parent_id = given.parent_id"
            " FROM unnest({keys}, {parents}) AS given (id, parent_id) WHERE entity.id = given.id",
            keys=param([written[tenant_id, row.external_id].id for row in rows], "bigint[]"),
            parents=param([written[tenant_id, row.parent_id].id for row in rows], "bigint[]"),
        )
    )
