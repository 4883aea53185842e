"""Reports stay exact while coupons are redeemed and given other segments, and all is counted and merged."""

import random
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from django.db import transaction

from core.journal.settling import settle_all, settle_changes
from coupons.models import Coupon, CouponSegment, Redemption
from coupons.operations import redeem_coupon
from coupons.orders import Buyer
from coupons.report_counts import merge_counts
from coupons.reports import Grouping, totals
from segments.models import Segment
from tests.concurrency.coupons import ORDER, attempt
from tests.concurrency.threads import in_thread, results_of
from tests.factories.accounts import CustomerFactory, SiteFactory, TenantFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import SegmentFactory
from tests.waiting import PATIENCE, wait_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)
DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_uses_count_for_the_segments_that_a_coupon_has_in_the_end():
    tenant = TenantFactory(name="acme")
    site = SiteFactory(tenant=tenant, code="main")
    CustomerFactory(tenant=tenant, external_id="C1")
    coupons = [CouponFactory(tenant=tenant, code=f"CODE{number}", created_at=DAY) for number in range(3)]
    segments = [SegmentFactory(site=site, external_id=f"S{number}") for number in range(2)]
    for coupon in coupons:
        CouponSegmentFactory(coupon=coupon, segment=segments[0])

    def redeem(number: int) -> str:
        buyer = Buyer.named(tenant.pk, "C1")
        code = coupons[number % 3].code
        return attempt(
            lambda: redeem_coupon(tenant_id=tenant.pk, code=code, buyer=buyer, order=ORDER, at=DAY).id
        )

    def exchange(coupon: Coupon, segment: Segment) -> str:
        """Change the segments of a coupon as its operation does: under the lock of its row."""
        with transaction.atomic():
            Coupon.objects.select_for_update(of=("self",)).get(pk=coupon.pk)
            CouponSegment.objects.filter(coupon=coupon).delete()
            CouponSegmentFactory(coupon=coupon, segment=segment)
        return "done"

    calls = [lambda number=number: redeem(number) for number in range(9)]
    calls += [
        lambda coupon=coupon, segment=segment: exchange(coupon, segment)
        for coupon in coupons
        for segment in (segments[1], segments[0])
    ]
    calls += [lambda: str(merge_counts(DAY)), lambda: str(settle_changes(DAY))] * 3
    random.Random(2).shuffle(calls)  # noqa: S311 -- the same order in every run
    assert [fault for fault in results_of(calls) if isinstance(fault, Exception)] == []
    settle_all()
    while merge_counts(DAY):
        pass
    uses = Counter(
        name
        for redemption in Redemption.objects.all()
        for name in CouponSegment.objects.filter(coupon=redemption.coupon_id).values_list(
            "segment_external_id", flat=True
        )
    )
    day = date(2026, 3, 1)
    found = totals(tenant_id=tenant.pk, first=day, last=day, by=Grouping.SEGMENT)
    assert sum(uses.values()) == 9
    assert {name: total.redeemed for name, total in found.items() if total.redeemed} == uses
    assert sum(total.issued for total in found.values()) == 3


def test_a_coupon_gets_a_segment_while_its_use_settles():
    """The use is counted for the segments of before, so the change waits and counts it for the new one."""
    tenant = TenantFactory(name="acme")
    segment = SegmentFactory(site=SiteFactory(tenant=tenant, code="main"), external_id="S1")
    coupon = CouponFactory(tenant=tenant, created_at=DAY)
    RedemptionFactory(coupon=coupon, redeemed_at=DAY)
    with transaction.atomic():
        settle_changes(DAY)
        restricting = in_thread(lambda: CouponSegmentFactory(coupon=coupon, segment=segment))
        wait_for_a_lock()
    restricting.result(PATIENCE)
    found = totals(tenant_id=tenant.pk, first=DAY.date(), last=DAY.date(), by=Grouping.SEGMENT)
    assert (found["S1"].issued, found["S1"].redeemed) == (1, 1)
