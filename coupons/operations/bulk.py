"""Many coupons at once, for imports and demo data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from core.sql.upserts import BatchPlan, RowResult, UpsertTarget, upsert_rows
from coupons.codes import check_code, normalise_code
from coupons.errors import CodeTaken, InvalidCode, InvalidTerms
from coupons.operations.coupons import settings_of
from coupons.operations.restrictions import look_up, unknown_references, write_restrictions
from coupons.terms import CouponTerms, columns_of, problems_of

COUPONS = UpsertTarget(
    table="coupons_coupon",
    key=("tenant_id", "code"),
    columns={
        "tenant_id": "bigint",
        "code": "text",
        "name": "text",
        "description": "text",
        "discount_type": "text",
        "discount_percentage": "numeric",
        "discount_amount": "numeric",
        "discount_currency": "text",
        "discount_calculation_type": "text",
        "allows_anonymous": "boolean",
        "max_redemptions": "integer",
        "max_redemptions_per_customer": "integer",
        "is_category_restricted": "boolean",
        "is_segment_restricted": "boolean",
        "valid_for": "text[]",
        "valid_from": "timestamptz",
        "valid_to": "timestamptz",
        "min_order_amount": "numeric",
        "min_order_currency": "text",
        "issued_to": "text",
        "mixins": "jsonb",
        "mixin_schemas": "jsonb",
        "is_referral": "boolean",
        "is_deleted": "boolean",
        "redemption_count": "integer",
        "created_at": "timestamptz",
        "modified_at": "timestamptz",
    },
    created_only=frozenset({"is_referral", "is_deleted", "redemption_count", "created_at"}),
    first_version=0,
)


@dataclass(frozen=True, slots=True)
class CouponRow:
    """A coupon to create, or whose terms to replace. `code` is normalised by the operation."""

    code: str
    terms: CouponTerms
    expected_version: int | None = None


@transaction.atomic
def upsert_coupons(
    *,
    tenant_id: int,
    rows: Sequence[CouponRow],
    at: datetime,
    confirm: Callable[[], None] = lambda: None,
) -> list[RowResult]:
    """Create or replace coupons by code, in a number of statements that does not depend on theirs.

    Returns one outcome a row, in input order: `created`, `id` (the normalised code), or the error that kept
    the row out: InvalidCode, InvalidTerms (all problems, unknown segments and categories among them),
    CodeTaken (the code belongs to a deleted coupon) or VersionConflict. A bad row never spoils the others.
    Redemptions, and the counter of them, stay as they are. Locks the stored coupons in the order of their
    codes; then, before anything is written, `confirm` is called, and what it raises ends the write. Give at
    most a few thousand rows at a time.
    """
    case_sensitive = settings_of(tenant_id).codes_are_case_sensitive
    codes = [normalise_code(row.code, case_sensitive=case_sensitive) for row in rows]
    known = look_up(tenant_id, (row.terms for row in rows))
    stored = lock_by_code(tenant_id, codes)
    confirm()
    plan: BatchPlan[tuple[int, str], CouponTerms] = BatchPlan()
    for position, (code, row) in enumerate(zip(codes, rows, strict=True)):
        version, is_deleted = stored.get(code, (None, False))
        try:
            check_code(code)
        except InvalidCode as error:
            plan.reject(position, error, id=code)
            continue
        if problems := [*problems_of(row.terms), *unknown_references(row.terms, known)]:
            plan.reject(position, InvalidTerms(problems), id=code)
        elif is_deleted:
            plan.reject(position, CodeTaken(code), id=code)
        else:
            plan.add(
                position,
                (tenant_id, code),
                row.terms,
                stored_version=version,
                expected_version=row.expected_version,
                first_version=0,
                id=code,
            )
    written = upsert_rows(
        COUPONS,
        [
            (
                (
                    tenant_id,
                    code,
                    *columns_of(terms).values(),
                    False,  # is_referral
                    False,  # is_deleted
                    0,  # redemption_count
                    at,
                    at,
                ),
                plan.writes[tenant_id, code],
            )
            for (_, code), terms in plan.rows.items()
        ],
    )
    plan.record(written)
    if written:
        write_restrictions(tenant_id, {written[key].id: terms for key, terms in plan.rows.items()}, known)
    return plan.results


def lock_by_code(tenant_id: int, codes: Sequence[str]) -> dict[str, tuple[int, bool]]:
    """Lock the stored coupons of these codes, in code order; return version and deletion of each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT code, version, is_deleted FROM coupons_coupon"
            " WHERE tenant_id = %s AND code = ANY(%s::text[]) ORDER BY code FOR UPDATE",
            [tenant_id, list(codes)],
        )
        return {code: (version, is_deleted) for code, version, is_deleted in cursor.fetchall()}
