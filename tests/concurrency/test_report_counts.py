"""Reports stay exact while coupons are redeemed, given other segments and merged at the same instant."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest
from django.db import transaction

from coupons.models import Coupon, CouponSegment, Redemption
from coupons.operations import redeem_coupon
from coupons.orders import Buyer
from coupons.report_counts import merge_counts
from coupons.reports import Grouping, totals
from segments.models import Segment
from tests.concurrency.coupons import ORDER, attempt
from tests.concurrency.threads import results_of
from tests.factories.accounts import CustomerFactory, SiteFactory, TenantFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory
from tests.factories.segments import SegmentFactory

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
    calls += [lambda: str(merge_counts(DAY))] * 3
    results_of(calls)
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
