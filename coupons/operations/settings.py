from decimal import Decimal

from django.db import connection, transaction

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
) -> CouponSettings:
    """Store how the tenant's coupons behave.

    When case stops to matter, stored codes are put into upper case, as all are then compared so. Raises
    CodesWouldCollide, naming a code, when two coupons differ by case alone; nothing is changed then.
    """
    settings = settings_of(tenant_id)
    if settings.codes_are_case_sensitive and not codes_are_case_sensitive:
        put_codes_into_upper_case(tenant_id)
    settings.codes_are_case_sensitive = codes_are_case_sensitive
    settings.referral_prefix = referral_prefix
    settings.referral_amount = referral_amount
    settings.referral_currency = referral_currency
    settings.save()
    return settings


def put_codes_into_upper_case(tenant_id: int) -> None:
    """Rewrite the tenant's codes; the coupons are locked in code order first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, code FROM coupons_coupon WHERE tenant_id = %s ORDER BY code FOR UPDATE", [tenant_id]
        )
        coupons = cursor.fetchall()
        seen: set[str] = set()
        for code in (stored.upper() for _, stored in coupons):
            if code in seen:
                raise CodesWouldCollide(code)
            seen.add(code)
        changed = [(key, code.upper()) for key, code in coupons if code != code.upper()]
        cursor.execute(
            "UPDATE coupons_coupon SET code = given.code FROM unnest(%s::bigint[], %s::text[])"
            " AS given (id, code) WHERE coupons_coupon.id = given.id",
            [[key for key, _ in changed], [code for _, code in changed]],
        )
