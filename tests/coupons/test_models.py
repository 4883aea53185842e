from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from core.json_types import JsonObject
from core.tenancy.models import Tenant
from coupons.models import Coupon, CouponSegment, CouponSettings, Redemption
from segments.models import Segment
from tests.factories.accounts import CustomerFactory, SiteFactory
from tests.factories.coupons import CouponFactory, CouponSegmentFactory, RedemptionFactory
from tests.factories.segments import SegmentFactory

PERCENT = {"discount_type": "PERCENT", "discount_percentage": 10}


def refused(write: Callable[[], object], *, constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        write()


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"code": ""}, "coupon_code_and_name_not_empty"),
        ({"name": ""}, "coupon_code_and_name_not_empty"),
        ({"discount_percentage": None}, "coupon_discount_fits_its_type"),
        ({"discount_type": "ABSOLUTE"}, "coupon_discount_fits_its_type"),
        ({"discount_type": "GIFT"}, "coupon_discount_fits_its_type"),
        ({"discount_type": "FREE_SHIPPING", "is_category_restricted": True}, "coupon_discount_fits_its_type"),
        ({"discount_percentage": -1}, "coupon_percentage_from_0_to_100"),
        ({"discount_percentage": 100.1}, "coupon_percentage_from_0_to_100"),
        ({"discount_amount": 5}, "coupon_discount_amount_has_currency"),
        ({"discount_currency": "EUR"}, "coupon_discount_amount_has_currency"),
        ({"discount_amount": -1, "discount_currency": "EUR"}, "coupon_discount_amount_has_currency"),
        ({"discount_amount": 1, "discount_currency": "eur"}, "coupon_discount_amount_has_currency"),
        ({"min_order_amount": 5}, "coupon_min_order_amount_has_currency"),
        ({"allows_anonymous": True, "valid_for": ["C1"]}, "coupon_anonymous_use_knows_no_customer"),
        (
            {"allows_anonymous": True, "max_redemptions_per_customer": 1},
            "coupon_anonymous_use_knows_no_customer",
        ),
        (
            {"allows_anonymous": True, "is_segment_restricted": True},
            "coupon_anonymous_use_knows_no_customer",
        ),
        (
            {"is_segment_restricted": True, "is_category_restricted": True},
            "coupon_segment_restriction_stands_alone",
        ),
        (
            {"is_segment_restricted": True, "valid_for": ["C1"]},
            "coupon_segment_restriction_stands_alone",
        ),
        ({"is_referral": True}, "coupon_referral_is_issued_to_somebody"),
        (
            {
                "valid_from": datetime(2024, 1, 2, tzinfo=UTC),
                "valid_to": datetime(2024, 1, 1, tzinfo=UTC),
            },
            "coupon_window_opens_before_it_closes",
        ),
        ({"redemption_count": -1}, "redemption_count"),
        ({"max_redemptions": -1}, "max_redemptions"),
    ],
)
def test_coupon_that_breaks_a_rule_is_refused_by_the_database(
    tenant: Tenant, values: JsonObject, constraint: str
) -> None:
    refused(lambda: CouponFactory(tenant=tenant, **values), constraint=constraint)
    assert Coupon.objects.count() == 0


def test_fields_of_another_kind_are_kept(tenant: Tenant) -> None:
    coupon = CouponFactory(tenant=tenant, discount_amount=5, discount_currency="EUR")
    assert Coupon.objects.filter(pk=coupon.pk, discount_type="PERCENT", discount_amount=5).exists()


def test_code_is_unique_in_a_tenant_alone(tenant: Tenant, other_tenant: Tenant) -> None:
    CouponFactory(tenant=tenant, code="A", is_deleted=True)
    CouponFactory(tenant=other_tenant, code="A")
    refused(lambda: CouponFactory(tenant=tenant, code="A"), constraint="coupon_code_unique")


def test_customer_has_one_referral_coupon_that_is_not_deleted(tenant: Tenant) -> None:
    CouponFactory(tenant=tenant, is_referral=True, issued_to="C1", is_deleted=True)
    CouponFactory(tenant=tenant, is_referral=True, issued_to="C1")
    CouponFactory(tenant=tenant, is_referral=True, issued_to="C2")
    CouponFactory(tenant=tenant, issued_to="C1")
    refused(
        lambda: CouponFactory(tenant=tenant, is_referral=True, issued_to="C1"),
        constraint="coupon_one_referral_per_customer",
    )


def test_segment_of_another_tenant_cannot_restrict_a_coupon(tenant: Tenant, other_tenant: Tenant) -> None:
    coupon = CouponFactory(tenant=tenant)
    segment = SegmentFactory(site=SiteFactory(tenant=other_tenant))
    refused(lambda: CouponSegmentFactory(coupon=coupon, segment=segment), constraint="coupon_segment_segment")


def test_restriction_to_a_deleted_segment_stays_with_its_id(tenant: Tenant) -> None:
    coupon = CouponFactory(tenant=tenant, is_segment_restricted=True)
    segment = SegmentFactory(site=SiteFactory(tenant=tenant), external_id="vip")
    CouponSegmentFactory(coupon=coupon, segment=segment)
    Segment.objects.filter(pk=segment.pk).delete()
    assert list(CouponSegment.objects.values_list("coupon", "segment", "segment_external_id")) == [
        (coupon.pk, None, "vip")
    ]


def test_coupon_with_redemptions_cannot_be_removed(tenant: Tenant) -> None:
    coupon = CouponFactory(tenant=tenant)
    RedemptionFactory(coupon=coupon)
    with pytest.raises(DatabaseError, match="redemption_coupon"), transaction.atomic():
        Coupon.objects.filter(pk=coupon.pk).delete()
    assert Coupon.objects.count() == 1


def test_redemption_outlives_its_customer(tenant: Tenant) -> None:
    customer = CustomerFactory(tenant=tenant, external_id="C1")
    RedemptionFactory(coupon=CouponFactory(tenant=tenant), customer=customer, customer_number="C1")
    customer.delete()
    assert list(Redemption.objects.values_list("customer", "customer_number")) == [(None, "C1")]


@pytest.mark.parametrize("field", ["order_code", "idempotency_key"])
def test_order_code_and_idempotency_key_count_once_for_customer_and_legal_entity(
    tenant: Tenant, field: str
) -> None:
    coupon = CouponFactory(tenant=tenant)
    same = {"coupon": coupon, "customer_number": "C1", "legal_entity_id": "L1", field: "X"}
    RedemptionFactory(**same)
    RedemptionFactory(**{**same, "legal_entity_id": "L2"})
    RedemptionFactory(**{**same, "customer_number": "C2"})
    RedemptionFactory(**{**same, field: ""})
    RedemptionFactory(**{**same, field: ""})
    RedemptionFactory(**{**same, "coupon": CouponFactory(tenant=tenant)})
    refused(lambda: RedemptionFactory(**same), constraint=f"redemption_{field}_unique")


def test_anonymous_redemption_names_no_legal_entity(tenant: Tenant) -> None:
    refused(
        lambda: RedemptionFactory(coupon=CouponFactory(tenant=tenant), legal_entity_id="L1"),
        constraint="redemption_without_customer_number_is_anonymous",
    )


def test_amounts_of_a_redemption_are_not_negative(tenant: Tenant) -> None:
    refused(
        lambda: RedemptionFactory(coupon=CouponFactory(tenant=tenant), discount_amount=-1),
        constraint="redemption_amounts_not_negative",
    )


def test_tenant_has_one_row_of_settings_and_an_amount_that_is_not_negative(tenant: Tenant) -> None:
    refused(
        lambda: CouponSettings.objects.create(tenant=tenant, referral_amount=-1),
        constraint="referral_amount_not_negative",
    )
    CouponSettings.objects.create(tenant=tenant)
    refused(lambda: CouponSettings.objects.create(tenant=tenant), constraint="couponsettings_pkey")
