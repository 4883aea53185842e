"""Real redemptions, replayed on the loaded shop through the operations that the API calls."""

from datetime import timedelta

import pytest

from accounts.models import ContactAssignment
from coupons.eligibility import assess_coupon
from coupons.errors import CouponNotRedeemable
from coupons.models import Coupon, Redemption
from coupons.money import Amount, Money
from coupons.operations.redemptions import redeem_coupon
from coupons.orders import Buyer, Order

WRONG_PAIRS = 2_000


@pytest.fixture(autouse=True)
def nothing_redeemed(shop):
    """Take back the redemptions that the shop was loaded with."""
    Redemption.objects.filter(tenant=shop.tenant).delete()
    Coupon.objects.filter(tenant=shop.tenant).update(redemption_count=0)


def code_of(campaign, upc):
    return f"C{campaign:02}-{upc}"


def order(number):
    return Order(order_total=Money(Amount(100), "USD"), order_code=f"order-{number}")


def test_each_real_redemption_is_possible_on_its_day(shop, oracle):
    assert len(oracle.redemptions) == 2_102
    for number, row in enumerate(oracle.redemptions):
        redeemed = redeem_coupon(
            tenant_id=shop.tenant.pk,
            code=code_of(row.campaign, row.upc),
            buyer=Buyer.named(shop.tenant.pk, row.household),
            order=order(number),
            at=shop.calendar.noon(row.day),
        )
        assert redeemed.is_new, row
    assert Redemption.objects.filter(tenant=shop.tenant).count() == 2_102
    assert Coupon.objects.filter(tenant=shop.tenant, redemption_count__gt=0).count() == 557


def wrong_pairs(oracle, contacts):
    """Yield household, coupon, day and the reasons expected: no member; a day too early; a day too late.

    Contacts of companies are left out: what they may redeem depends on whom they act for.
    """
    coupons = sorted(oracle.coupons)
    households = sorted(oracle.households - contacts, key=int)
    members = {}
    for campaign, household in sorted(oracle.memberships, key=lambda pair: (pair[0], int(pair[1]))):
        if household not in contacts:
            members.setdefault(campaign, []).append(household)
    for number in range(WRONG_PAIRS):
        campaign, upc = coupons[number * 7 % len(coupons)]
        first, last = oracle.windows[campaign]
        if number % 2:
            outside = [name for name in households[number % 97 :: 97] if name not in members[campaign]]
            day = first + (last - first) * (number % 5) // 4
            yield outside[0], (campaign, upc), day, ["segment_membership_missing"]
        else:
            household = members[campaign][number % len(members[campaign])]
            day, reason = (
                (first - timedelta(days=1), "coupon_not_started")
                if number % 4
                else (last + timedelta(days=1), "coupon_expired")
            )
            yield household, (campaign, upc), day, [reason, "segment_membership_missing"]


def test_two_thousand_wrong_pairs_are_refused_with_their_reasons(shop, oracle):
    contacts = set(
        ContactAssignment.objects.filter(tenant=shop.tenant).values_list("customer__external_id", flat=True)
    )
    pairs = list(wrong_pairs(oracle, contacts))
    assert len(pairs) == 2_000
    for household, (campaign, upc), day, reasons in pairs:
        verdict = assess_coupon(
            tenant_id=shop.tenant.pk,
            code=code_of(campaign, upc),
            buyer=Buyer.named(shop.tenant.pk, household),
            order=order(0),
            at=shop.calendar.noon(day),
        )
        assert [reason.type for reason in verdict.reasons] == reasons, (household, campaign, day)


def test_a_household_cannot_redeem_a_coupon_a_third_time(shop, oracle):
    row = oracle.redemptions[0]
    for number in range(2):
        redeem_coupon(
            tenant_id=shop.tenant.pk,
            code=code_of(row.campaign, row.upc),
            buyer=Buyer.named(shop.tenant.pk, row.household),
            order=order(number),
            at=shop.calendar.noon(row.day),
        )
    with pytest.raises(CouponNotRedeemable) as refused:
        redeem_coupon(
            tenant_id=shop.tenant.pk,
            code=code_of(row.campaign, row.upc),
            buyer=Buyer.named(shop.tenant.pk, row.household),
            order=order(2),
            at=shop.calendar.noon(row.day),
        )
    assert [reason.type for reason in refused.value.reasons] == ["customer_limit_reached"]
