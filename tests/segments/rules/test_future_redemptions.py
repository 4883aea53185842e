"""Redemptions that are imported with an instant to come count from that instant on."""

from datetime import timedelta

import pytest

from segments.models import CustomerAssignment
from tests.factories.accounts import CustomerFactory
from tests.factories.coupons import CouponFactory, RedemptionFactory
from tests.segments.rules.settling import make_rule, settle

SOON = timedelta(seconds=1)


@pytest.mark.parametrize(
    "q", ["redemptions.count:>=1", "redemptions.7d.count:>=1", "redemptions.lastAt:exists"]
)
def test_a_redemption_to_come_counts_from_its_instant_on(tenant, clock, q):
    customer = CustomerFactory(tenant=tenant, external_id="anna")
    comes_at = clock.at + timedelta(days=2)
    RedemptionFactory(
        coupon=CouponFactory(tenant=tenant), customer=customer, customer_number="anna", redeemed_at=comes_at
    )

    rule = make_rule(tenant, q, at=clock.at)

    assert not CustomerAssignment.objects.exists()
    assert comes_at <= rule.next_due_at < comes_at + SOON
    settle(rule.next_due_at)
    assert CustomerAssignment.objects.get().customer == customer
    if "7d" in q:
        rule.refresh_from_db()
        goes_at = comes_at + timedelta(days=7)
        assert goes_at <= rule.next_due_at < goes_at + SOON
        settle(rule.next_due_at)
        assert not CustomerAssignment.objects.exists()
