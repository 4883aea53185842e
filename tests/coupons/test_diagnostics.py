from datetime import timedelta

import pytest

from coupons.diagnostics import DIAGNOSTICS, states_of
from segments.models import Segment
from tests.coupons.conftest import COUPONS
from tests.factories.catalog import CategoryFactory
from tests.factories.coupons import CouponCategoryFactory, CouponFactory, CouponSegmentFactory
from tests.factories.segments import CustomerAssignmentFactory, SegmentFactory

HOUR = timedelta(hours=1)


def diagnostics(coupon, now):
    return list(states_of([coupon.pk], at=now)[coupon.pk].diagnostics)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, []),
        ({"max_redemptions": 0}, ["no_redemptions"]),
        ({"max_redemptions": 1, "redemption_count": 1}, []),
        ({"max_redemptions_per_customer": 0}, ["no_redemptions_per_customer"]),
        ({"is_segment_restricted": True}, ["segments_deleted"]),
        ({"is_segment_restricted": True, "max_redemptions": 0}, ["no_redemptions", "segments_deleted"]),
        ({"is_category_restricted": True}, []),
    ],
)
def test_coupon_itself_can_keep_everybody_from_redeeming(tenant, now, values, found):
    assert diagnostics(CouponFactory(tenant=tenant, **values), now) == found


def test_segments_can_keep_everybody_from_redeeming(tenant, site, now):
    coupon = CouponFactory(tenant=tenant, is_segment_restricted=True)
    gone, segment = SegmentFactory(site=site), SegmentFactory(site=site)
    for restriction in (gone, segment):
        CouponSegmentFactory(coupon=coupon, segment=restriction)
    Segment.objects.filter(pk=gone.pk).delete()

    def after(**values):
        Segment.objects.filter(pk=segment.pk).update(**values)
        return diagnostics(coupon, now)

    assert after() == ["segments_empty"]
    assert after(status="INACTIVE") == ["segments_over"]
    assert after(status="ACTIVE", valid_to=now - HOUR) == ["segments_over"]
    assert after(valid_to=None, valid_from=now + HOUR) == ["segments_not_started"]
    assert after(valid_from=now) == ["segments_empty"]
    member = CustomerAssignmentFactory(segment=segment, valid_to=now - HOUR)
    assert after() == ["segments_empty"]
    member.valid_to = now
    member.save()
    assert after() == []
    segment.delete()
    assert diagnostics(coupon, now) == ["segments_deleted"]


def test_one_segment_with_a_member_is_enough(tenant, site, now):
    coupon = CouponFactory(tenant=tenant, is_segment_restricted=True)
    for status in ("INACTIVE", "ACTIVE"):
        segment = SegmentFactory(site=site, status=status)
        CouponSegmentFactory(coupon=coupon, segment=segment)
        CustomerAssignmentFactory(segment=segment)
    assert diagnostics(coupon, now) == []


def test_included_categories_can_be_gone(tenant, now):
    coupon = CouponFactory(tenant=tenant, is_category_restricted=True)
    rows = [
        CouponCategoryFactory(coupon=coupon, category=CategoryFactory(tenant=tenant), is_excluded=is_excluded)
        for is_excluded in (False, True)
    ]
    assert diagnostics(coupon, now) == []
    for row in rows:
        row.category = None
        row.save()
    assert diagnostics(coupon, now) == ["categories_deleted"]
    rows[0].delete()  # for all products without the excluded ones
    assert diagnostics(coupon, now) == []


def test_api_shows_and_searches_diagnostics(manager, service_api, shop, tenant):
    CouponFactory(tenant=tenant, code="GOOD")
    CouponFactory(tenant=tenant, code="NEVER", max_redemptions=0)
    shown = manager.get(f"{COUPONS}/NEVER").json()
    assert shown["diagnostics"] == [{"type": "no_redemptions", "message": DIAGNOSTICS["no_redemptions"]}]
    assert "diagnostics" not in manager.get(f"{COUPONS}/GOOD").json()
    assert "diagnostics" not in shop.get(f"{COUPONS}/NEVER").json()
    for q in ("diagnostics:exists", "diagnostics.type:no_redemptions"):
        assert [coupon["code"] for coupon in manager.get(COUPONS, q=q).json()] == ["NEVER"]


def test_status_follows_the_clock_of_the_request(manager, tenant, now, clock):
    CouponFactory(tenant=tenant, code="A", valid_from=now, valid_to=now + HOUR)
    CouponFactory(tenant=tenant, code="B", valid_from=now + HOUR)

    def seen():
        return [coupon["status"] for coupon in manager.get(COUPONS, sort="status:desc,code").json()]

    assert seen() == ["VALID", "INACTIVE"]
    assert [found["code"] for found in manager.get(COUPONS, q="status:VALID").json()] == ["A"]
    clock.advance(HOUR)
    assert seen() == ["VALID", "VALID"]
    clock.advance(timedelta(milliseconds=1))
    assert [found["code"] for found in manager.get(COUPONS, q="status:VALID").json()] == ["B"]
    assert manager.get(f"{COUPONS}/A").json()["status"] == "EXPIRED"
