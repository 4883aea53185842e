from datetime import UTC, datetime, timedelta

import pytest

from coupons.bodies import CampaignBody
from coupons.models import Coupon
from coupons.operations import create_campaign, generate_codes
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory, coupon_body
from tests.factories.segments import SegmentFactory

REPORT = "/coupon/acme/coupon-reports"
DAY = datetime(2026, 3, 1, 23, 59, 59, 999_000, tzinfo=UTC)


def lines(api, **query):
    answer = api.get(REPORT, **query)
    assert answer.status_code == 200, answer.content
    return answer.json()["lines"]


def redeem(coupon, at=DAY, amount=10, currency="EUR"):
    RedemptionFactory(coupon=coupon, redeemed_at=at, discount_amount=amount, discount_currency=currency)


def test_days_and_currencies(manager, tenant, other_tenant):
    coupon = CouponFactory(tenant=tenant, created_at=DAY)
    redeem(coupon)
    redeem(coupon, amount="0.05")
    redeem(coupon, currency="USD")
    redeem(coupon, at=DAY + timedelta(milliseconds=1))
    redeem(coupon, at=DAY - timedelta(days=60))
    redeem(CouponFactory(tenant=other_tenant, created_at=DAY))
    answer = manager.get(REPORT).json()
    assert (answer["from"], answer["until"]) == ("2026-02-03", "2026-03-04")
    assert answer["lines"] == [
        {"day": "2026-03-01", "issued": 1, "redeemed": 0},
        {
            "day": "2026-03-01",
            "issued": 0,
            "redeemed": 2,
            "discount": {"amount": 10.05, "currency": "EUR"},
        },
        {"day": "2026-03-01", "issued": 0, "redeemed": 1, "discount": {"amount": 10, "currency": "USD"}},
        {"day": "2026-03-02", "issued": 0, "redeemed": 1, "discount": {"amount": 10, "currency": "EUR"}},
    ]
    assert lines(manager, **{"from": "2026-03-02", "until": "2026-03-02"}) == answer["lines"][3:]


def test_by_campaign(manager, tenant):
    redeem(CouponFactory(tenant=tenant, created_at=DAY))
    body = CampaignBody(id="W1", count=3, template=coupon_body())
    campaign = create_campaign(tenant_id=tenant.pk, body=body, at=DAY)
    generate_codes(tenant_id=tenant.pk, campaign_id="W1", at=DAY)
    redeem(campaign.terms.codes.exclude(pk=campaign.terms_id).first())
    assert lines(manager, groupBy="campaign") == [
        {"day": "2026-03-01", "id": "W1", "issued": 3, "redeemed": 0},
        {
            "day": "2026-03-01",
            "id": "W1",
            "issued": 0,
            "redeemed": 1,
            "discount": {"amount": 10, "currency": "EUR"},
        },
    ]
    assert sum(line["issued"] for line in lines(manager)) == Coupon.objects.count() - 1


def test_by_segment(manager, tenant, site):
    coupon = CouponFactory(tenant=tenant, created_at=DAY, is_segment_restricted=True)
    for name in ("S1", "S2"):
        CouponSegmentFactory(coupon=coupon, segment=SegmentFactory(site=site, external_id=name))
    redeem(coupon)
    found = lines(manager, groupBy="segment")
    assert [(line["id"], line["issued"], line["redeemed"]) for line in found] == [
        ("S1", 1, 0),
        ("S1", 0, 1),
        ("S2", 1, 0),
        ("S2", 0, 1),
    ]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"from": "yesterday"}, "from is a day"),
        ({"groupBy": "shop"}, "groupBy is campaign or segment"),
        ({"from": "2026-03-02", "until": "2026-03-01"}, "1 to 366 days"),
        ({"from": "2024-03-02", "until": "2026-03-01"}, "1 to 366 days"),
    ],
)
def test_what_cannot_be_reported(manager, query, text):
    answer = manager.get(REPORT, **query)
    assert answer.status_code == 400
    assert text in answer.json()["message"]


def test_a_report_takes_one_statement(manager, tenant, django_assert_num_queries):
    for _ in range(5):
        redeem(CouponFactory(tenant=tenant, created_at=DAY))
    lines(manager)
    with django_assert_num_queries(1):
        lines(manager)


def test_shops_read_no_reports(shop):
    assert shop.get(REPORT).status_code == 403
