import pytest
from django.db import connection

from core.journal.declarations import recorded_as
from core.journal.installation import install_triggers
from coupons.models import Redemption, ReportCount
from tests.factories.coupons import CouponFactory, RedemptionFactory


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["segments_duecustomer", "coupons_reportaddition"])
def test_coupons_are_redeemed_while_an_upgrade_has_not_made_all_tables(tenant, table):
    """It installs the triggers of redemptions before that."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO made_later")
    install_triggers([recorded_as("redemption"), recorded_as("coupon")])
    coupon = CouponFactory(tenant=tenant)
    RedemptionFactory(coupon=coupon)
    assert Redemption.objects.count() == 1
    counted = ReportCount.objects.filter(coupon_id=0, kind="redeemed").exists()
    assert counted == (table == "coupons_reportaddition")
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE made_later RENAME TO {table}")
    install_triggers([recorded_as("redemption"), recorded_as("coupon")])
    RedemptionFactory(coupon=coupon)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(count) FROM coupons_reportaddition WHERE kind = 'redeemed'")
        assert cursor.fetchone() == (1 if counted else 2,)
