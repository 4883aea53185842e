from datetime import UTC, date, datetime

import pytest
from django.db import connection

from accounts.models import Customer
from core.journal.declarations import recorded_as
from core.journal.installation import install_triggers
from core.journal.settling import settle_all
from coupons.models import Coupon, Redemption
from coupons.reports import redemptions_by_day
from segments.models import DueCustomer
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.segments.rules.settling import make_rule, settle

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


def redeem(coupon: Coupon, customer: Customer) -> Redemption:
    return RedemptionFactory(coupon=coupon, customer=customer, customer_number=customer.external_id)


def due_customers() -> list[int]:
    return list(DueCustomer.objects.order_by("id").values_list("customer_id", flat=True))


@pytest.mark.django_db
def test_whoever_redeems_is_noted_for_a_live_rule_when_the_change_settles(tenant):
    make_rule(tenant, "redemptions.count:>0", at=AT)
    make_rule(tenant, "onHold:true", at=AT, segment_id="other")
    coupon, elsewhere = CouponFactory(tenant=tenant), CouponFactory()
    twice, gone = CustomerFactory.create_batch(2, tenant=tenant)
    settle(AT)
    RedemptionFactory(coupon=coupon)
    redeem(elsewhere, CustomerFactory(tenant=elsewhere.tenant))
    for customer in (twice, twice):
        redeem(coupon, customer)
    redeem(coupon, gone).delete()
    assert due_customers() == [gone.pk]

    settle_all()

    assert due_customers()[0] == gone.pk
    assert sorted(due_customers()[1:]) == [twice.pk, gone.pk]


@pytest.mark.django_db
def test_redemptions_before_there_are_recent_changes_are_noted_at_once(tenant):
    make_rule(tenant, "redemptions.count:>0", at=AT)
    customer = CustomerFactory(tenant=tenant)
    settle(AT)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE journal_change_recent RENAME TO made_later")
    install_triggers([recorded_as("redemption"), recorded_as("coupon")])
    redeem(CouponFactory(tenant=tenant), customer)
    assert due_customers() == [customer.pk]
