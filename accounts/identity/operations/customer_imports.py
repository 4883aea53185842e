"""Customers with the password hashes that they had elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.errors import NoPasswordMigration
from accounts.identity.legacy_passwords import check_legacy_hash
from accounts.identity.models import LegacyPassword, PasswordMigration
from accounts.operations.customers import create_customer
from accounts.operations.erasure import refuse_erased
from accounts.passwords import check_encoded_password
from core.errors import DomainError
from core.json_types import JsonMapping
from core.sql.upserts import RowResult


@dataclass(frozen=True, slots=True)
class LegacyHash:
    """A password hash of another system."""

    algorithm: str
    hash: str
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImportedCustomer:
    """A customer's columns, with one of the two kinds of hashes."""

    external_id: str
    values: JsonMapping
    password_hash: str = ""
    legacy: LegacyHash | None = None


def import_customers(
    *, tenant_id: int, rows: Sequence[ImportedCustomer | DomainError], at: datetime
) -> list[RowResult]:
    """Create the customers and report every row, in order; a row that is refused spoils no other."""
    results = []
    for position, row in enumerate(rows):
        result = RowResult(position)
        results.append(result)
        if isinstance(row, DomainError):
            result.error = row
            continue
        try:
            result.id = import_customer(tenant_id=tenant_id, row=row, at=at)
        except DomainError as refused:
            result.error = refused
        else:
            result.created = True
    return results


@transaction.atomic
def import_customer(*, tenant_id: int, row: ImportedCustomer, at: datetime) -> str:
    """Create the customer and return the number.

    Raises CustomerErased, InvalidInput for a hash that nothing can verify, NoPasswordMigration, and what
    `create_customer` raises.
    """
    refuse_erased(tenant_id=tenant_id, external_id=row.external_id, email=str(row.values.get("email") or ""))
    if row.legacy:
        check_legacy_hash(row.legacy.algorithm, row.legacy.hash, row.legacy.context)
        active = PasswordMigration.objects.select_for_update(no_key=True)
        if not active.filter(tenant=tenant_id, retention_end_date__gt=at.date()).exists():
            raise NoPasswordMigration
    else:
        check_encoded_password(row.password_hash)
    customer = create_customer(
        tenant_id=tenant_id,
        external_id=row.external_id,
        values=row.values,
        encoded_password=row.password_hash,
        at=at,
    )
    if row.legacy:
        LegacyPassword.objects.create(
            tenant_id=tenant_id,
            customer=customer,
            algorithm=row.legacy.algorithm,
            hash=row.legacy.hash,
            context=dict(row.legacy.context),
            created_at=at,
        )
    return customer.external_id
