from decimal import Decimal

import pytest

from coupons.errors import CodesWouldCollide
from coupons.models import Coupon, CouponSettings
from coupons.operations import change_settings
from tests.factories.coupons import CouponFactory


def change(tenant, *, codes_are_case_sensitive):
    return change_settings(
        tenant_id=tenant.pk,
        codes_are_case_sensitive=codes_are_case_sensitive,
        referral_prefix="R-",
        referral_amount=Decimal(5),
        referral_currency="EUR",
        max_coupons_per_cart=3,
    )


def test_settings_are_stored_and_changed(tenant):
    change(tenant, codes_are_case_sensitive=True)
    change(tenant, codes_are_case_sensitive=False)
    assert list(CouponSettings.objects.values_list()) == [(tenant.pk, False, "R-", Decimal(5), "EUR", 3)]


def test_codes_go_into_upper_case_when_case_stops_to_matter(tenant, other_tenant):
    change(tenant, codes_are_case_sensitive=True)
    for code in ("summer", "WINTER"):
        CouponFactory(tenant=tenant, code=code)
    CouponFactory(tenant=other_tenant, code="autumn")
    change(tenant, codes_are_case_sensitive=False)
    assert sorted(Coupon.objects.values_list("code", flat=True)) == ["SUMMER", "WINTER", "autumn"]


def test_codes_that_differ_by_case_alone_keep_case_sensitivity_on(tenant):
    change(tenant, codes_are_case_sensitive=True)
    for code in ("Summer", "summer", "other"):
        CouponFactory(tenant=tenant, code=code)
    with pytest.raises(CodesWouldCollide, match="SUMMER"):
        change(tenant, codes_are_case_sensitive=False)
    assert CouponSettings.objects.get().codes_are_case_sensitive is True
    assert sorted(Coupon.objects.values_list("code", flat=True)) == ["Summer", "other", "summer"]
