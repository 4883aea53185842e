from collections import Counter
from decimal import Decimal

from django.db import transaction

from core.sql.composition import param, sql
from core.sql.fetching import execute, fetch_rows
from coupons.eligibility_queries import normalise_code
from coupons.errors import CodesWouldCollide
from coupons.models import CouponSettings
from coupons.operations.coupons import settings_of


@transaction.atomic
def change_settings(
    *,
    tenant_id: int,
    codes_are_case_sensitive: bool,
    referral_prefix: str,
    referral_amount: Decimal,
    referral_currency: str,
    max_coupons_per_cart: int,
) -> CouponSettings:
    """Store how the tenant's coupons behave.

    When case no longer matters, stored codes are rewritten in upper case, as codes are then compared. Raises
    CodesWouldCollide, naming a code, when two coupons differ only by case; nothing is changed then.
    """
    settings = settings_of(tenant_id)
    if settings.codes_are_case_sensitive and not codes_are_case_sensitive:
        put_codes_into_upper_case(tenant_id)
    settings.codes_are_case_sensitive = codes_are_case_sensitive
    settings.referral_prefix = referral_prefix
    settings.referral_amount = referral_amount
    settings.referral_currency = referral_currency
    settings.max_coupons_per_cart = max_coupons_per_cart
    settings.save()
    return settings


def put_codes_into_upper_case(tenant_id: int) -> None:
    """Rewrite the tenant's codes; the coupons are locked in code order first."""
    coupons = fetch_rows(
        sql(
            "SELECT id, code FROM coupons_coupon WHERE tenant_id = {tenant} ORDER BY code FOR UPDATE",
            tenant=param(tenant_id),
        )
    )
    folded = {key: normalise_code(code, case_sensitive=False) for key, code in coupons}
    if doubled := [code for code, count in Counter(folded.values()).items() if count > 1]:
        raise CodesWouldCollide(doubled[0])
    changed = {key: folded[key] for key, code in coupons if folded[key] != code}
    execute(
        sql(
            "UPDATE coupons_coupon SET code = given.code FROM unnest({keys}, {codes}) AS given (id, code)"
            " WHERE coupons_coupon.id = given.id",
            keys=param(list(changed), "bigint[]"),
            codes=param(list(changed.values()), "text[]"),
        )
    )
