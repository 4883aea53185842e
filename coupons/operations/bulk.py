"""Many coupons at once, for imports and demo data."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from django.db import transaction

from core.sql.composition import param, sql
from core.sql.fetching import fetch_rows
from core.sql.upserts import BatchPlan, RowResult, UpsertTarget, upsert_rows
from coupons.bodies import CouponBody, columns_of
from coupons.codes import check_code
from coupons.eligibility_queries import normalise_code
from coupons.errors import CodeTaken, InvalidCode, InvalidTerms, TermsOfCampaign
from coupons.models import Coupon
from coupons.operations.coupons import settings_of
from coupons.operations.restrictions import look_up, unknown_references, write_restrictions
from coupons.rules import problems_of

COUPONS = UpsertTarget.of(
    Coupon,
    "tenant_id",
    "code",
    created_only=("is_referral", "is_deleted", "redemption_count", "terms_id"),
    first_version=0,
)


@transaction.atomic
def upsert_coupons(
    *,
    tenant_id: int,
    rows: Sequence[CouponBody],
    at: datetime,
    confirm: Callable[[], None] = lambda: None,
) -> list[RowResult]:
    """Create or replace coupons by code, in a number of statements that does not depend on theirs.

    Returns one result a row, in input order: `created`, `id` (the normalised code), or the error that kept
    the row out: InvalidCode, InvalidTerms (all problems, unknown segments and categories among them),
    CodeTaken (the code belongs to a deleted coupon), TermsOfCampaign or VersionConflict. A bad row never
    spoils the others. Redemptions, and the counter of them, stay as they are. Locks the stored coupons in the
    order of their codes; then, before anything is written, `confirm` is called, and what it raises ends the
    write. Give at most a few thousand rows at a time.
    """
    case_sensitive = settings_of(tenant_id).codes_are_case_sensitive
    codes = [normalise_code(row.code, case_sensitive=case_sensitive) for row in rows]
    known = look_up(tenant_id, rows)
    stored = lock_by_code(tenant_id, codes)
    confirm()
    plan: BatchPlan[tuple[int, str], CouponBody] = BatchPlan()
    for position, (code, row) in enumerate(zip(codes, rows, strict=True)):
        version, is_deleted, is_of_campaign = stored.get(code, (None, False, False))
        try:
            check_code(code)
        except InvalidCode as error:
            plan.reject(position, error, id=code)
            continue
        if problems := [*problems_of(row), *unknown_references(row, known)]:
            plan.reject(position, InvalidTerms(problems), id=code)
        elif is_deleted:
            plan.reject(position, CodeTaken(code), id=code)
        elif is_of_campaign:
            plan.reject(position, TermsOfCampaign(code), id=code)
        else:
            plan.add(
                position,
                (tenant_id, code),
                row,
                stored_version=version,
                expected_version=row.expected_version,
                first_version=0,
                id=code,
            )
    as_created = {
        "is_referral": False,
        "is_deleted": False,
        "redemption_count": 0,
        "terms_id": None,
        "created_at": at,
        "modified_at": at,
    }
    written = upsert_rows(
        COUPONS,
        [
            (
                values_in_order({"tenant_id": tenant_id, "code": code, **columns_of(body), **as_created}),
                writes,
            )
            for ((_, code), body), writes in zip(plan.rows.items(), plan.writes.values(), strict=True)
        ],
    )
    plan.record(written)
    if written:
        write_restrictions(tenant_id, {written[key].id: body for key, body in plan.rows.items()}, known)
    return plan.results


def values_in_order(columns: Mapping[str, object]) -> tuple[object, ...]:
    """Return the values of a coupon's row in the order of the columns of COUPONS."""
    return tuple([columns[name] for name in COUPONS.columns])


def lock_by_code(tenant_id: int, codes: Sequence[str]) -> dict[str, tuple[int, bool, bool]]:
    """Lock the stored coupons of these codes, in code order.

    Returns the version of each, whether it is deleted, and whether its terms are a campaign's.
    """
    rows = fetch_rows(
        sql(
            "SELECT code, version, is_deleted, terms_id IS NOT NULL FROM coupons_coupon"
            " WHERE tenant_id = {tenant} AND code = ANY({codes}) ORDER BY code FOR UPDATE",
            tenant=param(tenant_id),
            codes=param(list(codes), "text[]"),
        )
    )
    return {code: tuple(facts) for code, *facts in rows}
