from datetime import UTC, date, datetime

import pytest
from django.db import connection

from core.journal.declarations import recorded_as
from core.journal.installation import install_triggers
from coupons.models import Redemption
from coupons.reports import redemptions_by_day
from tests.factories.coupons import CouponFactory, RedemptionFactory

AT, DAY = datetime(2026, 3, 1, tzinfo=UTC), date(2026, 3, 1)


@pytest.mark.django_db
@pytest.mark.parametrize("table", ["segments_duecustomer", "coupons_reportaddition", "journal_change_recent"])
def test_coupons_are_redeemed_while_an_upgrade_has_not_made_all_tables(tenant, table):
    """It installs the triggers of redemptions before that; reports count each use once in the end."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO made_later")
    install_triggers([recorded_as("redemption"), recorded_as("coupon")])
    coupon = CouponFactory(tenant=tenant)
    RedemptionFactory(coupon=coupon, redeemed_at=AT)
    assert Redemption.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE made_later RENAME TO {table}")
    install_triggers([recorded_as("redemption"), recorded_as("coupon")])
    RedemptionFactory(coupon=coupon, redeemed_at=AT)
    assert redemptions_by_day(tenant.pk, first=DAY, last=DAY) == {DAY: 2}
