"""Redemptions that happened in another system: recorded as they are, and counted."""

from collections import Counter
from collections.abc import Mapping, Sequence

from django.db import transaction

from core.errors import DomainError, InvalidInput
from core.sql.composition import Sql, identifiers, param, sql
from core.sql.fetching import execute, fetch_rows
from core.sql.upserts import RowResult, UpsertTarget
from coupons.bodies import PastRedemption
from coupons.eligibility_queries import normalise_code
from coupons.errors import CouponNotFound
from coupons.models import Redemption
from coupons.operations.coupons import settings_of

REDEMPTIONS = UpsertTarget.of(Redemption, "tenant_id", "external_id")


@transaction.atomic
def import_redemptions(*, tenant_id: int, rows: Sequence[PastRedemption]) -> list[RowResult]:
    """Record past redemptions and add them to the coupons' counters, in a constant number of statements.

    Returns one result a row, in input order: `created`, `id`, or the error of a row that names a coupon,
    customer or legal entity that does not exist (deleted coupons do). Nothing else is checked: history may
    exceed limits. What is stored already (the id, or the order of the same coupon, customer and legal
    entity) stays as it is and is not counted again. Locks the coupons in the order of their codes. Give at
    most some ten thousand rows at a time.
    """
    case_sensitive = settings_of(tenant_id).codes_are_case_sensitive
    codes = [normalise_code(row.code, case_sensitive=case_sensitive) for row in rows]
    tenant = param(tenant_id)
    coupons = keys_of(
        sql(
            "SELECT code, id FROM coupons_coupon WHERE tenant_id = {tenant} AND code = ANY({codes})"
            " ORDER BY code FOR UPDATE",
            tenant=tenant,
            codes=param(codes, "text[]"),
        )
    )
    customers = keys_of(
        sql(
            "SELECT external_id, id FROM accounts_customer"
            " WHERE tenant_id = {tenant} AND external_id = ANY({numbers}) ORDER BY id FOR KEY SHARE",
            tenant=tenant,
            numbers=param([row.customer_number for row in rows], "text[]"),
        )
    )
    legal_entities = keys_of(
        sql(
            "SELECT external_id, id FROM accounts_legalentity"
            " WHERE tenant_id = {tenant} AND external_id = ANY({ids})",
            tenant=tenant,
            ids=param([row.legal_entity_id for row in rows if row.legal_entity_id], "text[]"),
        )
    )
    results = []
    accepted: dict[str, dict[str, object]] = {}
    first: dict[str, RowResult] = {}
    for position, (code, row) in enumerate(zip(codes, rows, strict=True)):
        result = RowResult(position, id=row.external_id)
        result.error = missing_reference(row, code, coupons, customers, legal_entities)
        results.append(result)
        if result.error is None and row.external_id not in accepted:
            first[row.external_id] = result
            accepted[row.external_id] = {
                "tenant_id": tenant_id,
                "external_id": row.external_id,
                "coupon_id": coupons[code],
                "customer_id": customers.get(row.customer_number),
                "customer_number": row.customer_number,
                "legal_entity_id": row.legal_entity_id,
                "order_code": row.order_code,
                "idempotency_key": "",
                "order_total_amount": row.order_total.amount,
                "order_total_currency": row.order_total.currency,
                "discount_amount": row.discount.amount,
                "discount_currency": row.discount.currency,
                "redeemed_at": row.redeemed_at,
            }
    for external_id in insert_history(list(accepted.values())):
        first[external_id].created = True
    return results


def keys_of(statement: Sql) -> dict[str, int]:
    return dict(fetch_rows(statement))


def missing_reference(
    row: PastRedemption,
    code: str,
    coupons: dict[str, int],
    customers: dict[str, int],
    legal_entities: dict[str, int],
) -> DomainError | None:
    """Return what is wrong with what the row names; None when all of it exists."""
    if code not in coupons:
        return CouponNotFound(code)
    if row.customer_number and row.customer_number not in customers:
        return InvalidInput(f"There is no customer {row.customer_number}.", field="customerNumber")
    if row.legal_entity_id and row.legal_entity_id not in legal_entities:
        return InvalidInput(f"There is no legal entity {row.legal_entity_id}.", field="legalEntityId")
    if row.legal_entity_id and not row.customer_number:
        return InvalidInput("Without a customer nobody acts for a legal entity.", field="legalEntityId")
    return None


def insert_history(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """Insert what is not stored yet and count it; return the ids of the inserted rows."""
    arrays = [
        param([row[name] for row in rows], f"{type_name}[]")
        for name, type_name in REDEMPTIONS.columns.items()
    ]
    inserted = fetch_rows(
        sql(
            "INSERT INTO coupons_redemption ({columns})"
            " SELECT {columns} FROM unnest({arrays}) WITH ORDINALITY AS given ({columns}, place)"
            " ORDER BY place ON CONFLICT DO NOTHING RETURNING external_id, coupon_id",
            columns=identifiers(REDEMPTIONS.columns),
            arrays=Sql.joined(", ", arrays),
        )
    )
    uses = Counter(coupon_id for _, coupon_id in inserted)
    execute(
        sql(
            "UPDATE coupons_coupon SET redemption_count = redemption_count + given.uses"
            " FROM unnest({keys}, {uses}) AS given (id, uses) WHERE coupons_coupon.id = given.id",
            keys=param(list(uses), "bigint[]"),
            uses=param(list(uses.values()), "integer[]"),
        )
    )
    return [external_id for external_id, _ in inserted]
