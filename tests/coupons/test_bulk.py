from datetime import timedelta
from decimal import Decimal

import pytest

from core.bodies import SchemaMetadata
from core.errors import Problem, VersionConflict
from coupons.errors import CodeTaken, InvalidCode, InvalidTerms
from coupons.models import Coupon, CouponCategory, CouponSegment, CouponSettings
from coupons.money import Money
from coupons.operations import upsert_coupons
from tests.factories.coupons import CouponFactory, coupon_body
from tests.factories.segments import SegmentFactory


def upsert(tenant, now, *bodies):
    return upsert_coupons(tenant_id=tenant.pk, rows=bodies, at=now)


def test_coupons_are_created_with_all_fields(tenant, site, now):
    SegmentFactory(site=site, external_id="vip")
    body = coupon_body(
        code=" winter ",
        name="Winter",
        description="Five off",
        discount_type="ABSOLUTE",
        discount_percentage=Decimal("2.5"),
        discount_absolute=Money(Decimal("4.99"), "EUR"),
        discount_calculation_type="TOTAL",
        max_redemptions=5,
        max_redemptions_per_customer=2,
        is_segment_restricted=True,
        valid_from=now,
        valid_to=now + timedelta(days=1),
        min_order_value=Money(Decimal(50), "EUR"),
        segments=["vip", "vip"],
        issued_to="C9",
        mixins={"names": {"de": "Winter"}},
        metadata=SchemaMetadata(mixins={"names": "https://example.com/names.json"}),
    )
    [outcome] = upsert(tenant, now, body)
    assert (outcome.position, outcome.created, outcome.id, outcome.error) == (0, True, "WINTER", None)
    coupon = Coupon.objects.get(tenant=tenant, code="WINTER")
    expected = {
        "name": "Winter",
        "description": "Five off",
        "discount_type": "ABSOLUTE",
        "discount_percentage": Decimal("2.5"),
        "discount_amount": Decimal("4.99"),
        "discount_currency": "EUR",
        "discount_calculation_type": "TOTAL",
        "allows_anonymous": False,
        "max_redemptions": 5,
        "max_redemptions_per_customer": 2,
        "is_category_restricted": False,
        "is_segment_restricted": True,
        "valid_for": [],
        "valid_from": now,
        "valid_to": now + timedelta(days=1),
        "min_order_amount": Decimal(50),
        "min_order_currency": "EUR",
        "issued_to": "C9",
        "mixins": {"names": {"de": "Winter"}},
        "mixin_schemas": {"names": "https://example.com/names.json"},
        "redemption_count": 0,
        "version": 0,
        "is_deleted": False,
        "is_referral": False,
        "created_at": now,
        "modified_at": now,
    }
    assert {name: getattr(coupon, name) for name in expected} == expected
    assert list(coupon.segment_restrictions.values_list("segment__external_id", "segment_external_id")) == [
        ("vip", "vip")
    ]


def test_customers_of_each_coupon_stay_its_own(tenant, now):
    upsert(tenant, now, coupon_body(code="A", valid_for=["C1", "C2"]), coupon_body(code="B"))
    upsert(tenant, now, coupon_body(code="B", valid_for=["C3"]))
    assert dict(Coupon.objects.values_list("code", "valid_for")) == {"A": ["C1", "C2"], "B": ["C3"]}


def test_upsert_replaces_everything_but_the_use(tenant, site, now):
    for segment in ("a", "b", "c"):
        SegmentFactory(site=site, external_id=segment)
    upsert(tenant, now, coupon_body(code="A", is_segment_restricted=True, segments=("a", "b")))
    Coupon.objects.update(redemption_count=3)
    later = now + timedelta(hours=1)
    [outcome] = upsert(tenant, later, coupon_body(code="a", is_segment_restricted=True, segments=("b", "c")))
    assert outcome.created is False
    assert list(Coupon.objects.values_list("redemption_count", "version", "created_at", "modified_at")) == [
        (3, 1, now, later)
    ]
    assert set(CouponSegment.objects.values_list("segment_external_id", flat=True)) == {"b", "c"}


def test_bad_rows_are_reported_and_spoil_nothing(tenant, other_tenant, now):
    CouponFactory(tenant=tenant, code="GONE", is_deleted=True)
    CouponFactory(tenant=tenant, code="OLD", version=4)
    CouponFactory(tenant=other_tenant, code="GOOD")
    outcomes = upsert(
        tenant,
        now,
        coupon_body(code="GOOD"),
        coupon_body(code="A/B"),
        coupon_body(code="BARE", name="Bare", discount_type="ABSOLUTE"),
        coupon_body(code="LOST", is_segment_restricted=True, segments=("nowhere",)),
        coupon_body(code="GONE"),
        coupon_body(code="OLD", metadata=SchemaMetadata(version=3)),
        coupon_body(code="GOOD", name="Better", metadata=SchemaMetadata(version=0)),
        coupon_body(code="NEGATIVE", discount_absolute=Money(Decimal(-1), "eur")),
        coupon_body(code="ASTRAY", is_category_restricted=True, excluded_categories=("nowhere",)),
    )
    assert [(outcome.position, outcome.id, outcome.created, type(outcome.error)) for outcome in outcomes] == [
        (0, "GOOD", True, type(None)),
        (1, "A/B", False, InvalidCode),
        (2, "BARE", False, InvalidTerms),
        (3, "LOST", False, InvalidTerms),
        (4, "GONE", False, CodeTaken),
        (5, "OLD", False, VersionConflict),
        (6, "GOOD", False, type(None)),
        (7, "NEGATIVE", False, InvalidTerms),
        (8, "ASTRAY", False, InvalidTerms),
    ]
    assert outcomes[3].error.problems == [
        Problem("restrictions.segments", "unknown_reference", "There is no segment nowhere."),
    ]
    assert sorted(Coupon.objects.for_tenant(tenant).values_list("code", "name", "version")) == [
        ("GONE", "Coupon GONE", 0),
        ("GOOD", "Better", 1),
        ("OLD", "Coupon OLD", 4),
    ]
    assert CouponCategory.objects.count() == 0


def test_codes_keep_their_case_where_the_tenant_wants_it(tenant, now):
    CouponSettings.objects.create(tenant=tenant, codes_are_case_sensitive=True)
    outcomes = upsert(tenant, now, coupon_body(code="summer"), coupon_body(code="Summer"))
    assert [(outcome.id, outcome.created) for outcome in outcomes] == [("summer", True), ("Summer", True)]


@pytest.mark.parametrize("size", [1, 20])
def test_upsert_takes_a_constant_number_of_statements(tenant, site, now, size, django_assert_num_queries):
    SegmentFactory(site=site, external_id="vip")
    rows = [
        coupon_body(code=f"CODE-{number}", is_segment_restricted=True, segments=["vip"])
        for number in range(size)
    ]
    # savepoint and release, settings, lock, segments, upsert, two for segments, one for categories
    with django_assert_num_queries(9):
        upsert(tenant, now, *rows)
