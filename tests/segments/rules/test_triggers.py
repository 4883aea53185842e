import pytest
from django.db import connection

from coupons.models import Redemption
from tests.factories.coupons import CouponFactory, RedemptionFactory


@pytest.mark.django_db
def test_coupons_are_redeemed_while_an_upgrade_has_not_made_the_tables_of_rules(tenant):
    """It installs the triggers of redemptions before that."""
    coupon = CouponFactory(tenant=tenant)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE segments_duecustomer RENAME TO made_later")
    RedemptionFactory(coupon=coupon)
    assert Redemption.objects.count() == 1
