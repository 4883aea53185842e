from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError

from coupons.bodies import CampaignBody
from coupons.judgements import JUDGEMENTS
from coupons.models import Coupon, JudgementCount
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


def judge_some(manager):
    """Validate a coupon thrice in vain and once well, and two codes on a cart."""
    order = {"orderTotal": {"amount": 50, "currency": "EUR"}, "discount": {"amount": 1, "currency": "EUR"}}
    poor = {**order, "orderTotal": {"amount": 5, "currency": "EUR"}}
    for body, status in ((order, 200), (poor, 400), (poor, 400), (poor, 400)):
        assert manager.post("/coupon/acme/coupons/TEN/validation", body).status_code == status
    assert manager.post("/coupon/acme/coupons/NONE/validation", order).status_code == 404
    cart = {"currency": "EUR", "items": [{"id": "P1", "amount": 20}], "codes": ["TEN", "OVER", "NONE"]}
    assert manager.post("/coupon/acme/cart-validations", cart).status_code == 200


@pytest.fixture
def judged(tenant, site, manager):
    ten = CouponFactory(
        tenant=tenant, code="TEN", allows_anonymous=True, min_order_amount=10, min_order_currency="EUR"
    )
    over = CouponFactory(tenant=tenant, code="OVER", allows_anonymous=True, valid_to=DAY)
    Coupon.objects.update(created_at=DAY - timedelta(days=90))
    CouponSegmentFactory(coupon=ten, segment=SegmentFactory(site=site, external_id="S1"))
    judge_some(manager)
    return ten, over


def test_a_report_of_the_first_days_of_all_begins_with_the_first_one(manager):
    answer = manager.get(REPORT, until="0001-01-05").json()
    assert (answer["from"], answer["until"]) == ("0001-01-01", "0001-01-05")


def test_judgements_are_counted_by_outcome(judged, manager):
    assert lines(manager) == []  # nothing is written by a validation
    JUDGEMENTS.flush()
    counted = [
        {
            "day": "2026-03-04",
            "issued": 0,
            "redeemed": 0,
            "validated": 2,
            "refused": 4,
            "refusals": {
                "min_order_value_not_reached": 3,
                "discount_too_high": 3,
                "coupon_expired": 1,
            },
        }
    ]
    assert lines(manager) == counted
    JUDGEMENTS.flush()
    assert lines(manager) == counted
    assert [(line["id"], line["validated"]) for line in lines(manager, groupBy="segment")] == [("S1", 2)]


def test_judgements_of_codes_count_for_their_campaign(manager, tenant):
    template = coupon_body(allows_anonymous=True)
    body = CampaignBody(id="W1", count=2, template=template)
    campaign = create_campaign(tenant_id=tenant.pk, body=body, at=DAY)
    generate_codes(tenant_id=tenant.pk, campaign_id="W1", at=DAY)
    Coupon.objects.update(created_at=DAY - timedelta(days=90))
    cart = {"currency": "EUR", "items": [{"id": "P1", "amount": 20}]}
    codes = [coupon.code for coupon in campaign.terms.codes.exclude(pk=campaign.terms_id)]
    for code in codes:
        assert manager.post("/coupon/acme/cart-validations", {**cart, "codes": [code]}).status_code == 200
    JUDGEMENTS.flush()
    assert [(line["id"], line["validated"]) for line in lines(manager, groupBy="campaign")] == [("W1", 2)]
    assert JudgementCount.objects.count() == 1


def test_counts_that_could_not_be_written_are_kept(judged, manager, monkeypatch):
    def fail(counts):
        raise OperationalError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr("coupons.judgements.write_counts", fail)
        with pytest.raises(OperationalError):
            JUDGEMENTS.flush()
    JUDGEMENTS.flush()
    assert JudgementCount.objects.get(outcome="refused", coupon__code="TEN").count == 3


def test_judgements_at_another_instant_are_not_counted(judged, manager):
    order = {"orderTotal": {"amount": 50, "currency": "EUR"}, "discount": {"amount": 1, "currency": "EUR"}}
    path = "/coupon/acme/coupons/TEN/validation?asOf=2026-03-10T00:00:00Z"
    assert manager.post(path, order).status_code == 200
    JUDGEMENTS.flush()
    assert JudgementCount.objects.get(outcome="valid").count == 2


def test_a_report_takes_one_statement(manager, tenant, django_assert_num_queries):
    for _ in range(5):
        redeem(CouponFactory(tenant=tenant, created_at=DAY))
    lines(manager)
    with django_assert_num_queries(1):
        lines(manager)


def test_shops_read_no_reports(shop):
    assert shop.get(REPORT).status_code == 403
